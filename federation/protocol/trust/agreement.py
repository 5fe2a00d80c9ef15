"""The agreement in force: what the provinces signed, verified as a whole and turned into one value.

Rules kept, each at its number in `load_agreement`: the chain of roots begins with the pinned one and every link is
signed by the old and the new threshold; no version ever goes back; every file is the one that the file above it names;
every key is admitted anew and used once. Trusts the pinned first root alone. Bytes in, value out: no files, no clock.
Source: The Update Framework specification 1.0.34 section 5.3; DESIGN sections 4 and 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from federation.protocol.errors import ConflictError, MalformedError, StaleError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName, Realm, format_time
from federation.protocol.keys import PublicKey
from federation.protocol.trust.members import (
    MEMBERS_PATH,
    TERMS_PATH,
    Agency,
    FormerMember,
    Member,
    Membership,
    decode_members,
    decode_terms,
    public_keys,
)
from federation.protocol.trust.metadata import role_keys, verify_distinct, verify_role, verify_roots, waiting_keys

SUSPENDED: Final = "MEMBER_SUSPENDED"
EXERCISE_ONLY: Final = "EXERCISE_ONLY"
MAX_FILES = 256
MAX_FILE_BYTES = 1024 * 1024
MAX_FRESHNESS: Final = timedelta(days=7)
"""How far ahead a freshness signature may reach: one key makes it, and it must lapse soon when it is not renewed."""
MAX_AHEAD: Final = timedelta(days=1)
"""How far a refresh may count ahead of the clock; each one counts at least one more than the last."""


class Freshness(StrEnum):
    """The state of an agreement by its freshness; DESIGN.md says what works in each state."""

    FRESH = "fresh"
    LAPSED = "lapsed"
    EXPIRED = "expired"


class AgreementFiles(Struct, frozen=True, kw_only=True):
    roots: tuple[bytes, ...]
    timestamp: bytes
    snapshot: bytes
    targets: bytes
    files: Mapping[str, bytes]


class Agreement(Struct, frozen=True, kw_only=True):
    """One verified version of what the provinces agreed on.

    `version` and `digest` (SHA-256 of the targets file, hex) are what statements cite. `files` holds every target but
    `members.json` and `agreement.json`, by path: `policies/...`, `tlog-policy/<node>`.
    """

    version: int
    digest: str
    root_version: int
    snapshot_version: int
    timestamp_version: int
    federation: str
    realm: Realm
    members: Mapping[NodeName, Member]
    files: Mapping[str, bytes]
    freshness_keys: Mapping[NodeName, PublicKey]
    expires_time: datetime
    fresh_until_time: datetime
    clock_tolerance: timedelta
    statement_lifetime: timedelta
    lapse_grace: timedelta
    recognition_modes: frozenset[str]
    former: Mapping[NodeName, FormerMember] = field(default_factory=dict)


def load_agreement(
    files: AgreementFiles, *, trusted_root: bytes, now: datetime, previous: Agreement | None
) -> Agreement:
    """Loads an agreement out of its files, or refuses it as a whole.

    1. The chain of roots, from the pinned one, each signed by the old and the new threshold.
    2. The timestamp, signed by any node's freshness key.
    3. The snapshot that the timestamp names: version, length, hash, signature. One key signs both, so neither may
       outlive a week nor count ahead of the clock: nobody could refresh, or end, what the provinces agreed on.
    4. The targets file that the snapshot names, signed by a majority.
    5. The target files: exactly those listed, each of its length and hash.
    6. The terms and the members; the members are the nodes of the root, and who was one ended under an earlier version.
    7. Every key of every node, past ones included, admitted anew, and used once in the whole federation.
    8. Nothing older than `previous`; the same version is the same file.
    9. An update (`previous` given) must not have expired at `now`: an old agreement handed out anew is a freeze attack.

    Without `previous` an expired agreement loads, so that a node can start, read and refresh, and an auditor can go
    back in time; the caller asks `freshness` or `verify_in_force` before anything new is sent or accepted.

    Raises:
        UntrustedError: AGREEMENT_ROOT, AGREEMENT_SIGNATURES (naming who signed and who is missing), AGREEMENT_KEY,
            AGREEMENT_THRESHOLD, AGREEMENT_TAMPERED (naming the file), and the reasons of `admit_public_key`.
        StaleError: AGREEMENT_ROLLBACK, AGREEMENT_EXPIRED; AGREEMENT_AHEAD also when the clock here is far behind.
        ConflictError: AGREEMENT_CONFLICT when one version number stands over two files.
        MalformedError: AGREEMENT_FORM, AGREEMENT_SIZE, AGREEMENT_TERMS, AGREEMENT_MEMBERS, JSON_* and others for form.
    """
    root = verify_roots(files.roots, trusted_root=trusted_root)  # 1
    timestamp = verify_role(files.timestamp, Timestamp, root=root)  # 2
    _verify_named(timestamp.snapshot_meta, files.snapshot, "snapshot.json")  # 3
    snapshot = verify_role(files.snapshot, Snapshot, root=root)
    for signed in (timestamp, snapshot):
        _verify_bounds(signed, now=now)
    _verify_version(timestamp.snapshot_meta, snapshot.version, "snapshot.json")
    targets_meta = _targets_meta(snapshot)  # 4
    _verify_named(targets_meta, files.targets, "targets.json")
    targets = verify_role(files.targets, Targets, root=root)
    _verify_version(targets_meta, targets.version, "targets.json")
    _verify_files(targets, files.files)  # 5
    terms = decode_terms(files.files[TERMS_PATH])  # 6
    membership = decode_members(files.files[MEMBERS_PATH], federation=terms.federation)
    _verify_members(root, membership, version=targets.version)  # 6, 7
    agreement = Agreement(
        version=targets.version,
        digest=sha256(files.targets).hexdigest(),
        root_version=root.version,
        snapshot_version=snapshot.version,
        timestamp_version=timestamp.version,
        federation=terms.federation,
        realm=terms.realm,
        members=membership.members,
        files=MappingProxyType({p: f for p, f in files.files.items() if p not in (TERMS_PATH, MEMBERS_PATH)}),
        freshness_keys=MappingProxyType(dict(role_keys(root, "timestamp"))),
        expires_time=min(root.expires, targets.expires),
        fresh_until_time=min(timestamp.expires, snapshot.expires),
        clock_tolerance=terms.clock_tolerance,
        statement_lifetime=terms.statement_lifetime,
        lapse_grace=terms.lapse_grace,
        recognition_modes=terms.recognition_modes,
        former=membership.former,
    )
    if previous is not None:
        _verify_follows(agreement, previous)  # 8
        verify_in_force(agreement, now)  # 9
    return agreement


def freshness(agreement: Agreement, now: datetime) -> Freshness:
    if now >= agreement.expires_time or now >= agreement.fresh_until_time + agreement.lapse_grace:
        return Freshness.EXPIRED
    return Freshness.FRESH if now < agreement.fresh_until_time else Freshness.LAPSED


def verify_in_force(agreement: Agreement, now: datetime) -> Freshness:
    """Returns fresh or lapsed; refuses an agreement that ended (StaleError AGREEMENT_EXPIRED)."""
    state = freshness(agreement, now)
    if state is Freshness.EXPIRED:
        end = min(agreement.expires_time, agreement.fresh_until_time + agreement.lapse_grace)
        raise StaleError(
            "AGREEMENT_EXPIRED",
            f"expected an agreement in force, version {agreement.version} ended {format_time(end)}; "
            "any node refreshes it, or the provinces sign the next version",
            version=agreement.version,
        )
    return state


def message_keys_at(agreement: Agreement, node: NodeName, time: datetime) -> tuple[PublicKey, ...]:
    """Returns the keys under which a member's statements are taken in at a time; none for anybody else."""
    member = agreement.members.get(node)
    return () if member is None else _keys_at(member, time)


def past_keys(agreement: Agreement, node: NodeName, time: datetime, *, cited: int) -> tuple[PublicKey, ...]:
    """Returns the keys under which a statement of a time that cites agreement `cited` verifies ever after.

    Those of a former member, too, for what it said under an agreement that it took part in.
    """
    found = find_party(agreement, node)
    if found is None or (isinstance(found, FormerMember) and cited > found.last_agreement):
        return ()
    return _keys_at(found, time)


def find_party(agreement: Agreement, node: NodeName) -> Member | FormerMember | None:
    """Returns who is a member, or was one; None for a stranger."""
    return agreement.members.get(node) or agreement.former.get(node)


def withheld(agreement: Agreement, *nodes: NodeName) -> str:
    """Returns why not everything passes between members: MEMBER_SUSPENDED, EXERCISE_ONLY; empty when it does."""
    found = [agreement.members[node] for node in nodes if node in agreement.members]
    if any(member.suspended_since is not None for member in found):
        return SUSPENDED
    return EXERCISE_ONLY if any(member.exercise_until is not None for member in found) else ""


def _keys_at(member: Member | FormerMember, time: datetime) -> tuple[PublicKey, ...]:
    return tuple(
        entry.key
        for entry in member.message_keys
        if entry.valid_from <= time and (entry.valid_until is None or time < entry.valid_until)
    )


def find_agency(agreement: Agreement, agency: AgencyId) -> Agency | None:
    member = agreement.members.get(agency.node)
    return None if member is None else member.agencies.get(agency)


def _verify_bounds(signed: Timestamp | Snapshot, *, now: datetime) -> None:
    if signed.expires > now + MAX_FRESHNESS:
        found = f"an end at {format_time(signed.expires)}, more than {MAX_FRESHNESS.days} days ahead"
    elif signed.version > (now + MAX_AHEAD).timestamp():
        found = f"version {signed.version}, ahead of the clock that versions count by"
    else:
        return
    raise StaleError("AGREEMENT_AHEAD", f"{signed.type}: expected freshness of these days, got {found}")


def _targets_meta(snapshot: Snapshot) -> MetaFile:
    if snapshot.meta.keys() != {"targets.json"}:
        raise MalformedError("AGREEMENT_FORM", "snapshot: expected to name targets.json alone")
    return snapshot.meta["targets.json"]


def _verify_named(named: MetaFile | TargetFile, content: bytes, path: str) -> None:
    if not named.hashes or named.hashes.keys() != {"sha256"} or named.length is None:
        raise MalformedError("AGREEMENT_FORM", f"{path}: expected to be named by its length and SHA-256", path=path)
    try:
        named.verify_length_and_hashes(content)
    except LengthOrHashMismatchError as error:
        raise UntrustedError(
            "AGREEMENT_TAMPERED", f"{path}: expected the bytes that the signed file names, got others", path=path
        ) from error


def _verify_version(named: MetaFile, version: int, path: str) -> None:
    if named.version != version:
        raise UntrustedError(
            "AGREEMENT_TAMPERED", f"{path}: expected version {named.version}, got {version}", path=path
        )


def _verify_files(targets: Targets, files: Mapping[str, bytes]) -> None:
    if targets.delegations is not None:
        raise MalformedError("AGREEMENT_FORM", "targets: expected no delegations")
    if len(targets.targets) > MAX_FILES or any(target.length > MAX_FILE_BYTES for target in targets.targets.values()):
        raise MalformedError("AGREEMENT_SIZE", f"expected at most {MAX_FILES} files of {MAX_FILE_BYTES} bytes each")
    for path in sorted({MEMBERS_PATH, TERMS_PATH} - targets.targets.keys()):
        raise MalformedError("AGREEMENT_FORM", f"targets: expected to name {path}", path=path)
    for path in sorted(targets.targets.keys() ^ files.keys()):
        found = "none" if path in targets.targets else "one that is not signed for"
        raise UntrustedError("AGREEMENT_TAMPERED", f"{path}: expected the files that are named, got {found}", path=path)
    for path, target in targets.targets.items():
        _verify_named(target, files[path], path)


def _verify_members(root: Root, membership: Membership, *, version: int) -> None:
    members, former = membership.members, membership.former
    agreement_keys, freshness_keys, waiting = role_keys(root, "root"), role_keys(root, "timestamp"), waiting_keys(root)
    if members.keys() != freshness_keys.keys():
        raise MalformedError("AGREEMENT_FORM", f"{MEMBERS_PATH}: expected the nodes of the root, no more and no less")
    if {node for node, member in members.items() if member.has_vote} != agreement_keys.keys():
        raise UntrustedError(
            "AGREEMENT_KEY", "root: expected a vote of each member that exchanges all, of no other one"
        )
    if any(each.last_agreement >= version for each in former.values()):
        raise MalformedError("AGREEMENT_MEMBERS", f"{MEMBERS_PATH}: expected 'former' to end before version {version}")
    parties: list[Member | FormerMember] = [*members.values(), *former.values()]
    signing_keys = (key for each in parties for key in public_keys(each))
    verify_distinct((*agreement_keys.values(), *freshness_keys.values(), *waiting.values(), *signing_keys))
    if len({member.tls_ca for member in members.values()}) != len(members):
        raise UntrustedError("AGREEMENT_KEY", f"{MEMBERS_PATH}: expected a TLS authority of its own for each node")


def _verify_follows(agreement: Agreement, previous: Agreement) -> None:
    pairs = [("root", agreement.root_version, previous.root_version), ("targets", agreement.version, previous.version)]
    # New freshness keys start counting anew: else a stolen one could freeze the federation by a huge version number.
    if agreement.freshness_keys == previous.freshness_keys:
        pairs.append(("snapshot", agreement.snapshot_version, previous.snapshot_version))
        pairs.append(("timestamp", agreement.timestamp_version, previous.timestamp_version))
    for what, version, known in pairs:
        if version < known:
            raise StaleError("AGREEMENT_ROLLBACK", f"{what}: expected version {known} or later, got {version}")
    if agreement.version == previous.version and agreement.digest != previous.digest:
        raise ConflictError("AGREEMENT_CONFLICT", f"targets: expected the known file of version {previous.version}")
