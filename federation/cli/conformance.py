"""The conformance of a running node as another province sees it: probed from outside, and told in a signed report.

The same probes as an attack has: a stranger's certificate, a call that is for agencies, bytes that nobody signed, a
request beyond its limit; and the same audit as for every log. Nothing that is probed leaves an entry in its log. The
report counts for who drafts the agreement by which the province exchanges more than exercises.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from federation.audit.run import Audit, Options, audit_federation
from federation.node.exchange.peers import measure
from federation.node.home.agreement import load_home_agreement
from federation.node.home.certificates import create_authority, find_side, issue_peer
from federation.node.home.files import read_json, write_public, write_secret
from federation.node.home.keyring import load_keyring
from federation.node.node import Contacts, message_signer_at
from federation.protocol.errors import BridgeheadError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.form import Digest, Item, Positive, Time, always, decode, encode, replace
from federation.protocol.ids import FederationName, NodeName, matching, truncate_to_millisecond, typed
from federation.protocol.keys import PublicKey, verify_signature
from federation.protocol.receipt import Submission
from federation.protocol.tlog.witness import MAX_REQUEST_BYTES
from federation.protocol.trust import Agreement, AgreementFiles, Member
from federation.protocol.trust.draft import membership_of
from federation.protocol.trust.witnesses import WITNESS_PATH
from federation.wire.agency.node import GET_STATUS
from federation.wire.peer import FETCH_AGREEMENT, TELL_TIME, AgreementQuery, PeerClient
from federation.wire.read_client import ReadClient
from federation.wire.rpc import Nothing, Rpc, TlsFiles

SECONDS: Final = 10.0
GOOD_FOR: Final = timedelta(days=30)
"""How long after it was made a report counts."""
_SIGNED: Final = b"bridgehead/conformance/v1\n"


class Check(Item, frozen=True, kw_only=True):
    """One thing that was looked at: by name, what was found, and true where that is as agreed."""

    WHAT: ClassVar[str] = "report of conformance"

    name: str
    passed: bool
    found: str


class Conformance(Item, frozen=True, kw_only=True):
    """The findings of a province about another's node under an agreement, signed with its message key."""

    WHAT: ClassVar[str] = "report of conformance"

    v: Annotated[Literal[1], typed("1")] = always(1)
    federation: FederationName
    node: NodeName
    by: NodeName
    agreement: Positive
    digest: Digest
    made: Time
    checks: tuple[Check, ...]
    signature: Annotated[str, matching("([0-9a-f]{2})*", form="a signature in lower-case hex")] = ""

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probed:
    """The node that is probed, and a client to it by the certificate of the home that probes."""

    agreement: Agreement
    member: Member
    client: PeerClient
    now: Callable[[], datetime]


def peer_client(agreement: Agreement, member: Member, tls: TlsFiles) -> PeerClient:
    """A client to a member's node, whose certificate is from its own authority."""
    name = f"{member.node}.{agreement.federation}"
    return PeerClient(member.peer_addr, tls=tls, authority=lambda: member.tls_ca, server_name=name)


async def conform(home: Path, node: NodeName, *, now: Callable[[], datetime]) -> Conformance:
    """Probes the node of another member and signs what was found.

    Refuses NOT_A_MEMBER for a stranger and for the home's own node, MESSAGE_KEY_NOT_AGREED, and what says that the node
    is not reached at all.
    """
    agreement, keyring = load_home_agreement(home, now=now()), load_keyring(home)
    member, own = agreement.members.get(node), keyring.identity.node
    if member is None or node == own:
        raise NotFoundError("NOT_A_MEMBER", f"expected another member than {own}, got {node!r:.40}")
    side = find_side(home, "peer")
    client = peer_client(agreement, member, TlsFiles(certificate=side.certificate, key=side.key))
    probed = _Probed(agreement=agreement, member=member, client=client, now=now)
    try:
        checks = [await _look(name, partial(probe, probed)) for name, probe in _PROBES.items()]
    finally:
        await client.close()
    report = Conformance(
        federation=agreement.federation, node=node, by=own, agreement=agreement.version, digest=agreement.digest,
        made=truncate_to_millisecond(now()), checks=tuple(checks),
    )  # fmt: skip
    signer = message_signer_at(keyring, agreement, now())
    return replace(report, signature=signer.sign(_SIGNED + encode(report)).hex())


def verify_report(path: Path, known: AgreementFiles, *, now: datetime) -> tuple[NodeName, str]:
    """Returns the node of which a report says that it conforms, and the report's digest, for the next agreement.

    Refuses CONFORMANCE_REPORT: failed, too old, of a node that exchanges all already, or not signed by another member.
    """
    content = read_json(path)
    report, members = decode(Conformance, content), membership_of(known).members
    signer, about = members.get(report.by), members.get(report.node)
    keys = [] if signer is None or report.by == report.node else [each.key for each in signer.message_keys]
    if not any(_is_signed_by(report, key) for key in keys):
        raise UntrustedError("CONFORMANCE_REPORT", f"expected {path} to be signed by another member than {report.node}")
    failed = [check.name for check in report.checks if not check.passed]
    is_new = timedelta(0) <= now - report.made <= GOOD_FOR
    if about is None or about.exercise_until is None or not report.passed or not is_new:
        why = f"failed in {', '.join(failed)}" if failed else f"of {report.made:%Y-%m-%d}"
        raise UntrustedError(
            "CONFORMANCE_REPORT",
            f"expected a report of the last {GOOD_FOR.days} days that a member in exercises passed, got one {why}",
        )
    return report.node, sha256(content).hexdigest()


def _is_signed_by(report: Conformance, key: PublicKey) -> bool:
    try:
        verify_signature(key, _SIGNED + encode(replace(report, signature="")), bytes.fromhex(report.signature))
    except UntrustedError:
        return False
    return True


async def _look(name: str, probe: Callable[[], Awaitable[tuple[bool, str]]]) -> Check:
    try:
        passed, found = await probe()
    except BridgeheadError as error:
        if isinstance(error, UnavailableError) and name == next(iter(_PROBES)):
            raise  # nobody is there to be looked at
        passed, found = False, error.reason
    return Check(name=name, passed=passed, found=found)


async def _protocol(probed: _Probed) -> tuple[bool, str]:
    """It speaks this version of the protocol, and the agreement in force there, default deny with it, is this one."""
    asked = AgreementQuery(known_version=probed.agreement.version)
    files = await probed.client.call(FETCH_AGREEMENT, None, asked, timeout_seconds=SECONDS)
    return not files.targets, f"{probed.agreement.version}"


async def _clock(probed: _Probed) -> tuple[bool, str]:
    contacts, node = Contacts(probed.now), probed.member.node
    await measure(contacts, node, probed.client)
    offset = contacts.of(node).offset
    if offset is None:
        return False, "-"
    return abs(offset) <= probed.agreement.clock_tolerance / 2, f"{offset.total_seconds():+.2f} s"


async def _tls(probed: _Probed) -> tuple[bool, str]:
    """A certificate with a member's name, by an authority that nobody agreed on, opens nothing."""
    agreement, node = probed.agreement, next(name for name in probed.agreement.members if name != probed.member.node)
    stranger = create_authority("a stranger", now=probed.now())
    issued = issue_peer(stranger, federation=agreement.federation, node=node, hosts=["localhost"], now=probed.now())
    with tempfile.TemporaryDirectory() as folder:
        tls = TlsFiles(certificate=Path(folder, "peer.crt"), key=Path(folder, "peer.key"))
        write_public(tls.certificate, issued.certificate)
        write_secret(tls.key, issued.key)
        client = peer_client(agreement, probed.member, tls)
        try:
            return await _is_refused(probed, client, TELL_TIME)
        finally:
            await client.close()


async def _denied(probed: _Probed) -> tuple[bool, str]:
    """Of what is for agencies another province is told nothing."""
    return await _is_refused(probed, probed.client, GET_STATUS)


async def _is_refused(probed: _Probed, client: PeerClient, rpc: Rpc[Nothing, Any]) -> tuple[bool, str]:
    """A refusal counts of a node that still answers who may call: silence is none."""
    try:
        await client.call(rpc, None, Nothing(), timeout_seconds=SECONDS)
    except BridgeheadError as error:
        await probed.client.tell_time(timeout_seconds=SECONDS)
        return True, error.reason
    return False, "-"


async def _unsigned(probed: _Probed) -> tuple[bool, str]:
    """Bytes that no member signed are taken in from nobody."""
    (answer,) = await probed.client.submit([Submission(envelope=b"{}")], timeout_seconds=SECONDS)
    return (True, answer.reason) if isinstance(answer, BridgeheadError) else (False, "-")


async def _limits(probed: _Probed) -> tuple[bool, str]:
    """A request beyond its limit is refused, whoever sends it."""
    with closing(ReadClient(probed.member.read_url + WITNESS_PATH, timeout_seconds=SECONDS)) as reader:
        status, _ = await reader.add_checkpoint(bytes(MAX_REQUEST_BYTES + 1))
    return 400 <= status < 500, f"HTTP {status}"


async def _log(probed: _Probed) -> tuple[bool, str]:
    """The log is audited as every other: heads, witnesses, tiles, every leaf."""
    with closing(ReadClient(probed.member.read_url, timeout_seconds=SECONDS)) as reader:
        sources, options = {probed.member.node: reader}, Options(witness_seconds=SECONDS)
        audit = Audit(agreement=probed.agreement, sources=sources, options=options, now=probed.now)
        report = (await audit_federation(audit)).report
    found = report.first.code.value if report.first else " ".join(str(line.size) for line in report.logs)
    return report.passed and bool(report.logs), found


_PROBES: Final[Mapping[str, Callable[[_Probed], Awaitable[tuple[bool, str]]]]] = {
    "protocol": _protocol, "clock": _clock, "tls": _tls, "denied": _denied, "unsigned": _unsigned, "limits": _limits,
    "log": _log,
}  # fmt: skip
"""By name, in their order; the first one tells whether anybody is there."""
NAMES: Final[Mapping[str, str]] = {
    "protocol": "协议版本|agreement", "clock": "时钟|clock", "tls": "陌生证书被拒|a stranger's certificate",
    "denied": "默认拒绝|denied by default", "unsigned": "未签名被拒|unsigned bytes", "limits": "限额|limits",
    "log": "日志可核验|log verifies",
}  # fmt: skip
