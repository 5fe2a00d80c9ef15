"""Making an agreement: a draft folder that goes from province to province until enough have signed, then is published.

    <draft>/draft.json      how many of the roots are in force already and must not be touched
    <draft>/metadata/       the chain of roots, the targets file; no snapshot and timestamp yet
    <draft>/targets/        members.json, agreement.json, policies/..., tlog-policy/...

Rules kept: nobody signs a draft that says of him another thing than his home, keys and addresses; a root in force is
never signed again; a draft whose policies do not parse is none; publishing verifies all thresholds before anything is
installed.
Source: DESIGN section 4 (agreement).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Final, Literal

from tuf.api.metadata import Root, Targets

from federation.domain.clock import CALENDAR_FILE, CLOCKS_FILE, parse_calendar, parse_clocks
from federation.domain.duty import DUTY, DUTY_SHEET, read_duty, verify_class_kept
from federation.domain.functions import FUNCTIONS_FILE, parse_functions, verify_office
from federation.domain.policy_check import verify_policies
from federation.domain.retention import RETENTION_FILE, parse_retention
from federation.node.home.agreement import (
    FRESHNESS_LIFETIME,
    has_agreement,
    install_agreement,
    load_home_agreement,
    pin_root,
    read_agreement_files,
    read_repository,
    refreshed_files,
    write_repository,
)
from federation.node.home.files import make_private_folder, read_file, read_json, read_policies, read_toml, write_public
from federation.node.home.keyring import Keyring, load_keyring
from federation.node.home.setup import member_bundle, write_bundle
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    MalformedError,
    NotFoundError,
    RuleError,
    StaleError,
    UntrustedError,
)
from federation.protocol.form import Count, Digest, Item, always, decode, encode, encode_canonical, replace
from federation.protocol.ids import NodeName
from federation.protocol.keys import PublicKey, Signer
from federation.protocol.tlog.note import format_vkey
from federation.protocol.trust.agreement import Agreement, AgreementFiles
from federation.protocol.trust.draft import (
    Bundle,
    OutsideWitness,
    bundles_of,
    decode_bundle,
    draft_files,
    draft_root,
    draft_targets,
    encode_bundle,
    membership_of,
)
from federation.protocol.trust.members import FormerMember, Member, Terms, decode_terms
from federation.protocol.trust.metadata import (
    Signing,
    merge_signatures,
    read_metadata,
    require_signing,
    role_keys,
    sign_metadata,
    waiting_keys,
    who_signed,
)
from federation.protocol.trust.succession import StandingChanges, former_after, verify_succession

VERSION: Literal[1] = 1
_NO_CHANGES: Final = StandingChanges()
DRAFT_FILE = "draft.json"
SIGNED_FILE = "signed.json"
TERMS_SHEET = "agreement.toml"
_ROOT_RENEWAL = timedelta(days=90)  # a root that ends sooner than this is replaced together with the content


_PARSERS: Mapping[str, Callable[[str], object]] = {
    CALENDAR_FILE: parse_calendar,
    CLOCKS_FILE: parse_clocks,
    FUNCTIONS_FILE: parse_functions,
    RETENTION_FILE: parse_retention,
}


class _Draft(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = DRAFT_FILE

    v: Literal[1] = always(VERSION)
    roots_in_force: Count


class _Signed(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = SIGNED_FILE

    v: Literal[1] = always(VERSION)
    version: Count
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStatus:
    """The signatures of a draft. `signings` holds the root, where a new one is drafted, and the targets."""

    version: int
    root_version: int
    signings: Mapping[str, Signing]

    @property
    def complete(self) -> bool:
        return all(signing.complete for signing in self.signings.values())


def load_terms_sheet(path: Path) -> tuple[Terms, timedelta]:
    """Loads `nodes/agreement.toml`: terms and lifetime. Refuses FILE_MISSING, AGREEMENT_TERMS, JSON_*."""
    table = read_toml(path, reason="AGREEMENT_TERMS")
    days = table.pop("content_lifetime_days", None)
    table.pop("witness", None)  # of `load_witness_sheet`
    if type(days) is not int or not 1 <= days <= 3660:
        raise MalformedError("AGREEMENT_TERMS", f"{path}: expected 'content_lifetime_days' from 1 to 3660")
    try:
        encoded = encode_canonical({**table, "v": VERSION})
    except (TypeError, ValueError) as error:
        raise MalformedError("AGREEMENT_TERMS", f"{path}: expected strings, integers and lists") from error
    return decode_terms(encoded), timedelta(days=days)


def load_witness_sheet(path: Path) -> tuple[OutsideWitness, ...]:
    """Loads the third parties that `nodes/agreement.toml` names under `[[witness]]`. Refuses AGREEMENT_WITNESS."""
    rows = read_toml(path, reason="AGREEMENT_TERMS").get("witness", [])
    try:
        return tuple(OutsideWitness(**row) for row in rows)
    except TypeError as error:
        raise MalformedError(
            "AGREEMENT_WITNESS", f"{path}: expected each [[witness]] to have name, vkey and url"
        ) from error


def read_duty_sheets(nodes: Path, provinces: Iterable[str] | None = None) -> dict[str, bytes]:
    """Reads the duty sheets of these provinces, of all without a choice, as `policies/duty/...`; some may have none."""
    names = provinces if provinces is not None else sorted(each.name for each in nodes.glob("*"))
    there = {name: nodes / name / DUTY_SHEET for name in names}
    return {f"{DUTY}{name}.toml": read_file(path) for name, path in there.items() if path.is_file()}


def draft_agreement(
    out: Path, bundles: Sequence[bytes], *, nodes: Path, policies: Path, previous: AgreementFiles | None, now: datetime
) -> DraftStatus:
    """Drafts the first agreement, or the one after `previous`, into a new folder.

    Each node gives one bundle; a member that gives none is expelled, and stays as a former member. A new root is
    drafted only when keys or members change, or when the old one ends soon. Refuses DRAFT_EXISTS, AGREEMENT_CONFLICT,
    what `verify_succession` refuses, and bundles, terms or policies that no agreement may have.
    """
    if out.exists() and any(out.iterdir()):
        raise ConflictError("DRAFT_EXISTS", f"expected an empty or new folder, got {out}")
    terms, lifetime = load_terms_sheet(nodes / TERMS_SHEET)
    parsed = [decode_bundle(bundle) for bundle in bundles]
    files = draft_files(
        parsed,
        terms=terms,
        policies=read_policies(policies) | read_duty_sheets(nodes, [bundle.member.node for bundle in parsed]),
        third_parties=load_witness_sheet(nodes / TERMS_SHEET),
        former=_former_after(previous, parsed, now=now),
    )
    _verify_usable(files)
    _verify_offices(files, [bundle.member for bundle in parsed])
    roots = previous.roots if previous else ()
    if not roots or _needs_new_root(roots[-1], parsed, now):
        drafted = draft_root(parsed, expires_time=now + lifetime, previous=roots[-1] if roots else None)
    else:
        drafted = None
    version = _version_of(previous) + 1 if previous else 1
    draft = AgreementFiles(
        roots=roots if drafted is None else (*roots, drafted),
        timestamp=b"",
        snapshot=b"",
        targets=draft_targets(files, version=version, expires_time=now + lifetime),
        files=files,
    )
    if previous is not None:
        _verify_succeeds(draft, previous, now=now)
    out.mkdir(parents=True, exist_ok=True)
    write_repository(out, draft)
    write_public(out / DRAFT_FILE, encode(_Draft(roots_in_force=len(roots))))
    return draft_status(out)


def complete_bundles(
    bundles: Sequence[bytes],
    previous: AgreementFiles,
    *,
    now: datetime,
    expel: Collection[NodeName] = (),
    changes: StandingChanges = _NO_CHANGES,
) -> list[bytes]:
    """Returns the bundles given, and those of the members that hand in none: they stay as they were agreed.

    What each may exchange is as it was, but for `changes` and a new member, who begins with exercises. Refuses
    NOT_A_MEMBER for who is named and is none, AGREEMENT_CONFLICT for one who is expelled and hands in a bundle,
    BUNDLE_UNSIGNED for an application that the agreement key in it has not signed.
    """
    membership, given = membership_of(previous), {each.member.node: each for each in map(decode_bundle, bundles)}
    if len(given) != len(bundles):
        raise ConflictError("AGREEMENT_CONFLICT", "expected one bundle for each node")
    agreed = bundles_of(previous)
    known: dict[NodeName, Member | FormerMember] = {**membership.former, **membership.members}
    for node in (*expel, *changes.suspend, *changes.lift, *changes.actual):
        if node not in agreed:
            raise NotFoundError("NOT_A_MEMBER", f"expected one of {', '.join(sorted(agreed))}, got {node:.40}")
        if node in given and node in expel:
            raise ConflictError("AGREEMENT_CONFLICT", f"expected {node} to be expelled or to hand in a bundle")
    for node, bundle in given.items():
        if node not in agreed and not bundle.is_signed:
            raise UntrustedError("BUNDLE_UNSIGNED", f"expected {node}'s bundle to be signed with its agreement key")
    coming = {node: each for node, each in (agreed | given).items() if node not in expel}
    return [
        encode_bundle(replace(each, member=changes.of(each.member, known.get(node), now=now)))
        for node, each in sorted(coming.items())
    ]


def draft_status(out: Path) -> DraftStatus:
    """Returns who has signed a draft and who has not. Refuses FILE_MISSING and as `who_signed`."""
    files, in_force = _read_draft(out)
    root = read_metadata(files.roots[-1], Root, what="root").signed
    signings: dict[str, Signing] = {}
    if len(files.roots) > in_force:
        signings[f"root {root.version}"] = who_signed(files.roots[-1], files.roots[max(in_force - 1, 0)])
    version = _version_of(files)
    signings[f"targets {version}"] = who_signed(files.targets, files.roots[-1])
    return DraftStatus(version=version, root_version=root.version, signings=signings)


def sign_draft(out: Path, home: Path, *, now: datetime, instead: bool = False) -> DraftStatus:
    """Signs a draft with a home's agreement keys, both in rotation.

    A province signs one draft of a version: with three of four no two can then come into force, unless `instead` says
    that the other was given up by all. Refuses AGREEMENT_KEY, AGREEMENT_TRIAL, BUNDLE_STALE, DRAFT_STALE,
    DRAFT_SIGNED, and as `verify_succession`.
    """
    files, in_force = _read_draft(out)
    keyring = load_keyring(home)
    _verify_usable(files.files)
    _verify_offices(files.files, membership_of(files).members.values())
    _verify_own_entry(files, keyring, home, now=now)
    if not membership_of(files).members[keyring.identity.node].has_vote:
        raise RuleError("AGREEMENT_TRIAL", f"expected a province with a vote, got {keyring.identity.node} on trial")
    _verify_follows(files, home, now=now)
    _remember_signed(files, home, instead=instead)
    roots = [read_metadata(root, Root, what="root").signed for root in files.roots[-2:]]
    root_drafted = len(files.roots) > in_force
    wanted = [key for root in (roots if root_drafted else roots[-1:]) for key in role_keys(root, "root").values()]
    signers = _signers_among(keyring, wanted)
    if root_drafted:
        files = replace(files, roots=(*files.roots[:-1], reduce(sign_metadata, signers, files.roots[-1])))
    signers = _signers_among(keyring, role_keys(roots[-1], "targets").values())
    write_repository(out, replace(files, targets=reduce(sign_metadata, signers, files.targets)))
    return draft_status(out)


def collect_draft(out: Path, copy: Path) -> DraftStatus:
    """Adds the signatures on another copy of the same draft to this one. Refuses AGREEMENT_FORM, FILE_MISSING."""
    (files, in_force), (other, _) = _read_draft(out), _read_draft(copy)
    targets = merge_signatures(files.targets, other.targets)
    roots = files.roots
    if len(roots) > in_force:
        roots = (*roots[:-1], merge_signatures(roots[-1], other.roots[-1]))
    write_repository(out, replace(files, roots=roots, targets=targets))
    return draft_status(out)


def publish_draft(
    out: Path, homes: Sequence[Path], *, now: datetime, lifetime: timedelta = FRESHNESS_LIFETIME
) -> Agreement:
    """Publishes a draft that enough provinces have signed into one or more homes.

    The first home's freshness key signs. A home without an agreement pins the draft's first root: whoever publishes
    there has compared the keys. Refuses AGREEMENT_SIGNATURES, AGREEMENT_ROOT, AGREEMENT_HOMES, and as `load_agreement`.
    """
    if not homes:
        raise RuleError("AGREEMENT_HOMES", "expected at least one home to publish into")
    for what, signing in draft_status(out).signings.items():
        require_signing(signing, what=what)
    files, _ = _read_draft(out)
    previous = load_home_agreement(homes[0], now=now) if has_agreement(homes[0]) else None
    files = refreshed_files(files, previous, load_keyring(homes[0]), now=now, lifetime=lifetime)
    for home in homes:
        pin_root(home, files.roots[0])
    installed = [install_agreement(home, files, now=now) for home in homes]
    for home in homes:
        with suppress(BridgeheadError):  # it is in force, whatever the next one lacks: `keys bundle` says it
            write_bundle(home, now=now)
    return installed[0]


def read_both(out: Path, home: Path) -> tuple[AgreementFiles | None, AgreementFiles]:
    """Reads the agreement in force in a home, if there is one, and a draft, to be compared."""
    draft, _ = _read_draft(out)
    return read_agreement_files(home) if has_agreement(home) else None, draft


def _read_draft(out: Path) -> tuple[AgreementFiles, int]:
    draft = decode(_Draft, read_json(out / DRAFT_FILE))
    files = read_repository(out)
    if not files.roots:
        raise MalformedError("AGREEMENT_FORM", f"expected a root in {out}/metadata")
    return files, draft.roots_in_force


def _verify_usable(files: Mapping[str, bytes]) -> None:
    """Refuses files that no node could put in force, or whose cases fail (POLICY_CHECK, CALENDAR_*, CLOCK_*, ...)."""
    verify_policies(files)
    for path, parse in _PARSERS.items():
        if path not in files:
            raise NotFoundError("AGREEMENT_FORM", f"expected the agreement to hold {path}")
        parse(files[path].decode(errors="replace"))


def _verify_offices(files: Mapping[str, bytes], members: Collection[Member]) -> None:
    """Refuses an office of no registered kind, a function that its kind may not hold (AGENCY_*), DUTY_AGENCY."""
    register = parse_functions(files[FUNCTIONS_FILE].decode(errors="replace"))
    for member in members:
        for agency, office in member.agencies.items():
            verify_office(register, agency, office.functions)
    named = {agency for member in members for agency in member.agencies}
    for desk in read_duty(files).desks.values():
        if desk.agency not in named:
            raise RuleError("DUTY_AGENCY", f"expected the desk {desk.id} to be of an office that its province names")


def _former_after(
    previous: AgreementFiles | None, bundles: Sequence[Bundle], *, now: datetime
) -> dict[NodeName, FormerMember]:
    if previous is None:
        return {}
    members = frozenset(bundle.member.node for bundle in bundles)
    return former_after(membership_of(previous), members, last_agreement=_version_of(previous), now=now)


def _verify_succeeds(files: AgreementFiles, previous: AgreementFiles, *, now: datetime) -> None:
    before, after = membership_of(previous), membership_of(files)
    verify_succession(after, before, last_agreement=_version_of(previous), now=now)
    verify_class_kept(read_duty(previous.files), read_duty(files.files), now=now)


def _version_of(files: AgreementFiles) -> int:
    return read_metadata(files.targets, Targets, what="targets").signed.version


def _needs_new_root(encoded: bytes, bundles: Sequence[Bundle], now: datetime) -> bool:
    root = read_metadata(encoded, Root, what="root").signed
    agreement = {bundle.member.node: bundle.agreement_key for bundle in bundles if bundle.member.has_vote}
    waiting = {bundle.member.node: bundle.agreement_key for bundle in bundles if not bundle.member.has_vote}
    freshness = {bundle.member.node: bundle.freshness_key for bundle in bundles}
    votes = role_keys(root, "root") == agreement and waiting_keys(root) == waiting
    return not votes or role_keys(root, "timestamp") != freshness or root.expires < now + _ROOT_RENEWAL


def _verify_follows(files: AgreementFiles, home: Path, *, now: datetime) -> None:
    """Refuses a draft that is not the next after the agreement in force in the home: DRAFT_STALE, as succession."""
    if not has_agreement(home):
        return
    known = read_agreement_files(home)
    version, drafted = _version_of(known), _version_of(files)
    if drafted <= version or files.roots[: len(known.roots)] != known.roots:
        raise StaleError("DRAFT_STALE", f"expected a draft after version {version} of this home, got version {drafted}")
    _verify_succeeds(files, known, now=now)


def _remember_signed(files: AgreementFiles, home: Path, *, instead: bool) -> None:
    path, targets = home / "agreement" / SIGNED_FILE, read_metadata(files.targets, Targets, what="targets")
    signed = _Signed(version=targets.signed.version, digest=sha256(targets.signed_bytes).hexdigest())
    if path.exists() and not instead:
        before = decode(_Signed, read_json(path))
        if before.version == signed.version and before.digest != signed.digest:
            raise ConflictError(
                "DRAFT_SIGNED", f"this home signed another draft of version {signed.version}: two could come into force"
            )
    make_private_folder(path.parent)
    write_public(path, encode(signed))


def _signers_among(keyring: Keyring, wanted: Iterable[PublicKey]) -> list[Signer]:
    keys = set(wanted)
    own = [signer for signer in (keyring.agreement, keyring.next_agreement) if signer is not None]
    found = [signer for signer in own if signer.public_key in keys]
    if not found:
        node = keyring.identity.node
        raise UntrustedError("AGREEMENT_KEY", f"expected the agreement key of {node}'s home among those of the draft")
    return found


_OWN: Final = {
    "name": "名称 name", "peer_addr": "节点地址 address for nodes", "read_url": "公开网址 URL for auditors",
    "tls_ca": "证书机构 TLS authority", "agencies": "单位 agencies", "revoked_serials": "吊销证书 revoked certificates",
    "contact": "联系方式 contact",
}  # fmt: skip
"""The facts of a member that its home's settings, member sheet and certificates say."""


def _verify_own_entry(files: AgreementFiles, keyring: Keyring, home: Path, *, now: datetime) -> None:
    identity = keyring.identity
    member = membership_of(files).members.get(identity.node)
    own = [format_vkey(keyring.log.vkey), format_vkey(keyring.witness.vkey)]
    keys = set() if member is None else {entry.key for entry in member.message_keys}
    if member is None or [member.log_vkey, member.witness_vkey] != own or keyring.message.public_key not in keys:
        raise UntrustedError(
            "AGREEMENT_KEY",
            f"expected the draft to name the keys of {identity.node}'s home; hand its author a new bundle "
            "('bridgehead keys bundle')",
        )
    said = decode_bundle(member_bundle(home, now=now)).member
    differing = [word for name, word in _OWN.items() if getattr(member, name) != getattr(said, name)]
    if differing:
        raise ConflictError(
            "BUNDLE_STALE",
            f"expected the draft to say of {identity.node} what its home says, not: {', '.join(differing)}",
        )
