"""Drafting an agreement: from what each node publishes about itself to metadata that waits for signatures.

A bundle is what one node hands to the others before any agreement holds: its member entry and the two keys that the
root gives it. Signed with the first of these it is a province's application. It proves no more than that it is whole;
the signatures of the provinces on the draft do, after people compared the keys.
Source: DESIGN section 4; C2SP tlog-policy.md; The Update Framework specification 1.0.34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Struct
from tuf.api.metadata import Key, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp

from federation.protocol.errors import ConflictError, MalformedError
from federation.protocol.form import Item, always, decode, encode, replace
from federation.protocol.ids import FederationName, NodeName, matching, typed
from federation.protocol.keys import PublicKey, Signer, admit_public_key, verify_signature
from federation.protocol.tlog.quorum import parse_policy
from federation.protocol.trust.agreement import AgreementFiles
from federation.protocol.trust.members import (
    MEMBERS_PATH,
    TERMS_PATH,
    FormerMember,
    Member,
    Membership,
    Terms,
    decode_members,
    decode_terms,
    encode_members,
    encode_terms,
    verify_member,
)
from federation.protocol.trust.metadata import (
    AGREEMENT_ROLES,
    FRESHNESS_ROLES,
    encode_unsigned,
    majority,
    read_metadata,
    role_keys,
    tuf_key,
    verify_offices,
    waiting_keys,
)

MAX_BUNDLE_BYTES = 256 * 1024
_APPLIES: Final = b"bridgehead/member-bundle/v1\n"


class OutsideWitness(Struct, frozen=True, kw_only=True):
    """A witness that is no member: its name, its vkey (0x04 or 0x06), the URL below which it takes checkpoints."""

    name: str
    vkey: str
    url: str


class Bundle(Struct, frozen=True, kw_only=True):
    federation: str
    member: Member
    agreement_key: PublicKey
    freshness_key: PublicKey
    is_signed: bool = False


class _Written(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "bundle"
    REASON: ClassVar[str] = "AGREEMENT_MEMBERS"

    v: Annotated[Literal[1], typed("1")] = always(1)
    federation: FederationName
    node: NodeName
    member: Member
    agreement_key: PublicKey
    freshness_key: PublicKey
    signature: Annotated[str, matching("([0-9a-f]{2})*", form="a signature in lower-case hex")] = ""


def encode_bundle(bundle: Bundle, signer: Signer | None = None) -> bytes:
    """Encodes a bundle; where the agreement key is at hand, signed with it."""
    written = _Written(
        federation=bundle.federation,
        node=bundle.member.node,
        member=replace(bundle.member, node=NodeName("")),
        agreement_key=bundle.agreement_key,
        freshness_key=bundle.freshness_key,
    )
    if signer is not None:
        written = replace(written, signature=signer.sign(_APPLIES + encode(written)).hex())
    return encode(written)


def decode_bundle(encoded: bytes) -> Bundle:
    """Decodes the exact bytes of a bundle, admits every key in it, verifies its signature where it has one.

    Refuses as `members`, `admit_public_key` and `verify_signature`.
    """
    if len(encoded) > MAX_BUNDLE_BYTES:
        raise MalformedError("AGREEMENT_SIZE", f"expected at most {MAX_BUNDLE_BYTES} bytes, got {len(encoded)}")
    found = decode(_Written, encoded)
    admit_public_key(found.agreement_key)
    if found.signature:
        unsigned = encode(replace(found, signature=""))
        verify_signature(found.agreement_key, _APPLIES + unsigned, bytes.fromhex(found.signature))
    return Bundle(
        federation=found.federation,
        member=verify_member(found.member, found.node, found.federation),
        agreement_key=found.agreement_key,
        freshness_key=admit_public_key(found.freshness_key),
        is_signed=bool(found.signature),
    )


def bundles_of(files: AgreementFiles) -> dict[NodeName, Bundle]:
    """Returns what each member of an agreement would hand out if nothing had changed; nothing is verified here."""
    terms = decode_terms(files.files[TERMS_PATH])
    root = read_metadata(files.roots[-1], Root, what="root").signed
    agreement, freshness = {**role_keys(root, "root"), **waiting_keys(root)}, role_keys(root, "timestamp")
    return {
        node: Bundle(
            federation=terms.federation,
            member=member,
            agreement_key=agreement[node],
            freshness_key=freshness[node],
        )
        for node, member in membership_of(files).members.items()
    }


def membership_of(files: AgreementFiles) -> Membership:
    """Returns who takes part and who did, its keys admitted; refuses as `decode_members`."""
    federation = decode_terms(files.files[TERMS_PATH]).federation
    return decode_members(files.files[MEMBERS_PATH], federation=federation)


def format_tlog_policy(
    log_vkey: str, witnesses: Mapping[NodeName, str], third_parties: Sequence[OutsideWitness] = ()
) -> str:
    """Formats the tlog-policy of one log: a majority of all witnesses, the owner's own among them.

    With third parties it is so many that two sets of them share two, one of whom may be dishonest.
    """
    names = [*sorted(witnesses), *(each.name for each in third_parties)]
    needed = (len(names) + 1) // 2 + 1 if third_parties else majority(len(names))
    lines = [f"log {log_vkey}", *(f"witness {name} {witnesses[name]}" for name in sorted(witnesses))]
    lines += [f"witness {each.name} {each.vkey} {each.url}" for each in third_parties]
    lines += [f"group peers {needed} {' '.join(names)}", "quorum peers"]
    return "\n".join(lines) + "\n"


def draft_files(
    bundles: Sequence[Bundle],
    *,
    terms: Terms,
    policies: Mapping[str, bytes],
    third_parties: Sequence[OutsideWitness] = (),
    former: Mapping[NodeName, FormerMember] = MappingProxyType({}),
) -> Mapping[str, bytes]:
    """Drafts the target files by path: members, terms, policies as given, and one tlog-policy a node.

    Refuses a third party that is not of the form of a tlog-policy, or has the key or name of another (POLICY, VKEY).
    """
    members = _members_of(bundles, terms.federation)
    for path in policies:
        if not path.startswith("policies/") or ".." in path.split("/"):
            raise MalformedError("AGREEMENT_FORM", f"expected files under policies/, got {path!r:.80}")
    witnesses = {node: member.witness_vkey for node, member in members.items() if member.has_vote}
    tlog_policies = {
        f"tlog-policy/{node}": format_tlog_policy(
            member.log_vkey, {**witnesses, node: member.witness_vkey}, third_parties
        ).encode()
        for node, member in members.items()
    }
    for policy in tlog_policies.values():
        parse_policy(policy)
    membership = Membership(members=members, former=former)
    own = {MEMBERS_PATH: encode_members(membership), TERMS_PATH: encode_terms(terms)}
    return {**policies, **tlog_policies, **own}


def draft_root(bundles: Sequence[Bundle], *, expires_time: datetime, previous: bytes | None = None) -> bytes:
    """Drafts the root that names the keys of the bundles, version 1 or the one after `previous`.

    Only members that exchange all have a vote; the agreement key of one on trial waits.
    """
    version = 1 if previous is None else read_metadata(previous, Root, what="root").signed.version + 1
    agreement = [tuf_key(bundle.agreement_key, bundle.member.node) for bundle in bundles]
    freshness = [tuf_key(bundle.freshness_key, bundle.member.node) for bundle in bundles]
    voting = {tuf_key(bundle.agreement_key, bundle.member.node).keyid for bundle in bundles if bundle.member.has_vote}
    roles = {role: Role(sorted(voting), majority(len(voting))) for role in AGREEMENT_ROLES}
    roles |= {role: Role(sorted({key.keyid for key in freshness}), 1) for role in FRESHNESS_ROLES}
    keys: dict[str, Key] = {key.keyid: key for key in sorted((*agreement, *freshness), key=lambda key: key.keyid)}
    root = Root(version=version, expires=expires_time, keys=keys, roles=roles, consistent_snapshot=False)
    return encode_unsigned(verify_offices(root))


def draft_targets(files: Mapping[str, bytes], *, version: int, expires_time: datetime) -> bytes:
    """Drafts the targets file that names each file by its length and SHA-256."""
    targets = {path: TargetFile.from_data(path, files[path], ["sha256"]) for path in sorted(files)}
    return encode_unsigned(Targets(version=version, expires=expires_time, targets=targets))


def make_snapshot(targets: bytes, *, version: int, now: datetime, lifetime: timedelta) -> bytes:
    """Makes the unsigned snapshot that names a targets file and lives for `lifetime` from `now`."""
    meta = {"targets.json": _meta_file(targets, read_metadata(targets, Targets, what="targets").signed.version)}
    return encode_unsigned(Snapshot(version=version, expires=now + lifetime, meta=meta))


def make_timestamp(snapshot: bytes, *, version: int, now: datetime, lifetime: timedelta) -> bytes:
    """Makes the unsigned timestamp that names a snapshot and lives for `lifetime` from `now`."""
    meta = _meta_file(snapshot, read_metadata(snapshot, Snapshot, what="snapshot").signed.version)
    return encode_unsigned(Timestamp(version=version, expires=now + lifetime, snapshot_meta=meta))


def _meta_file(content: bytes, version: int) -> MetaFile:
    return MetaFile.from_data(version, content, ["sha256"])


def _members_of(bundles: Sequence[Bundle], federation: str) -> dict[NodeName, Member]:
    members: dict[NodeName, Member] = {}
    for bundle in bundles:
        if bundle.federation != federation:
            raise MalformedError("AGREEMENT_FORM", f"expected bundles of {federation}, got one of {bundle.federation}")
        if bundle.member.node in members:
            raise ConflictError(
                "AGREEMENT_CONFLICT", f"expected one bundle for each node, got two of {bundle.member.node}"
            )
        members[bundle.member.node] = bundle.member
    return members
