"""Officers' own keys, registered at their node, and what is signed by them.

A certificate is an office's; an officer's own key makes an act answerable. Two names with one key are one person. Every
key that was ever registered stays as a version. Source: misuse controls M1 and M4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from federation.domain.officers import KeyStanding
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import rule_decision
from federation.protocol.errors import MalformedError, NotFoundError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.keys import parse_public_key, verify_signature
from federation.protocol.statement import Sender
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, put_records
from federation.wire.rpc import ruling_of

OFFICER_KEY, KEY_USE = "officer-key", "officer-key-use"
_OFFICER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
T = TypeVar("T")
No = TypeVar("No", bound=RuleError | NotFoundError)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderAct:
    """A signed act of a leader: who, for which agency and case, and the signature of their own key (base64)."""

    agency: AgencyId
    leader: str
    case_id: str
    signature: str


def signed_by(errand: Errand, signature: str, *, case_id: str = "") -> LeaderAct:
    """Returns what the errand's officer signed."""
    return LeaderAct(agency=errand.caller, leader=errand.act.officer, case_id=case_id, signature=signature)


async def verify_signed(errand: Errand, *, of: KeyStanding = KeyStanding.REGISTERED) -> None:
    """Returns when a key of that standing, registered for who acts, signed this very call.

    Refuses OFFICER_KEY, OFFICER_KEY_WITHDRAWN, and ADMINISTRATOR_KEY when it is an administrator's call; logged.
    """
    await or_logged(errand, _verify_signed(errand, of))


async def _verify_signed(errand: Errand, standing: KeyStanding) -> None:
    officer, signed = errand.act.officer, errand.signed
    record = find_record(errand.node.database, OFFICER_KEY, _record_id(errand.caller, officer), replica=False)
    if record is None or record.status != standing:
        raise _no_key(officer, record.status if record is not None else "", wanted=standing)
    try:
        verify_signature(
            parse_public_key(record.content.decode()),
            signed.text if signed else b"",
            signed.signature if signed else b"",
        )
    except UntrustedError as error:
        message = f"expected a signature of just this call by the key registered for {officer!r:.70}"
        raise UntrustedError("OFFICER_KEY", message) from error


def _no_key(officer: str, known: str, *, wanted: KeyStanding) -> UntrustedError:
    if known == KeyStanding.WITHDRAWN:
        return UntrustedError("OFFICER_KEY_WITHDRAWN", f"the key of {officer!r:.70} was withdrawn")
    if wanted is KeyStanding.ADMINISTERS:
        return UntrustedError("ADMINISTRATOR_KEY", f"expected an administrator of the office, got {officer!r:.70}")
    if known == KeyStanding.ADMINISTERS:
        return UntrustedError("OFFICER_KEY", f"{officer!r:.70} administers keys and asks nothing about persons")
    return UntrustedError("OFFICER_KEY", f"expected a key registered for the officer {officer!r:.70}")


async def or_logged(errand: Errand, step: Awaitable[T]) -> T:
    """Takes a step that somebody signs for; a no to it is logged like a yes (misuse control M11), then raised."""
    try:
        return await step
    except (RuleError, UntrustedError) as error:
        await logged(errand, RuleError(error.reason, error.message))
        raise


async def logged(errand: Errand, no: No) -> No:
    """Logs a no by rule, and returns it to be raised or told."""
    ruling = ruling_of(rule_decision(no), agreement_version=errand.in_force.agreement.version)
    await errand.refuse(ruling, asked=())
    return no


def find_officer_key(source: Source, agency: AgencyId, officer: str) -> str | None:
    """Returns the registered public key of an officer, None when there is none. Raises MalformedError: OFFICER."""
    record = find_key(source, agency, officer)
    return record.content.decode() if record is not None and record.status == KeyStanding.REGISTERED else None


def find_key(source: Source, agency: AgencyId, officer: str) -> Record | None:
    """The record of an officer's newest key, whatever its standing; None when none was ever registered (OFFICER)."""
    return find_record(source, OFFICER_KEY, _record_id(agency, officer), replica=False)


def lost_key(source: Source, agency: AgencyId, officer: str) -> bool:
    """True when an officer of ours had a key, and has none that they could sign with any more."""
    return has_lost(find_key(source, agency, officer))


def has_lost(record: Record | None) -> bool:
    return record is not None and record.status != KeyStanding.REGISTERED


def find_use(source: Source, agency: AgencyId, key: str, *, replica: bool = False) -> Record | None:
    """Returns what a key counts as, of our own office or as another province told it; None when it is not known."""
    return find_record(source, KEY_USE, use_id(agency, key), replica=replica)


def use_id(agency: AgencyId, key: str) -> str:
    return f"{agency}/{hashlib.sha256(key.encode()).hexdigest()}"


def verify_counts(source: Source, sender: Sender, *, key: str = "") -> None:
    """Refuses what another province asks for an officer whose key it told us is withdrawn, or under a withdrawn key.

    What counts is the moment of receiving, whenever the question was made (OFFICER_KEY_WITHDRAWN).
    """
    if sender.agency is None or sender.officer is None:
        return
    pinned = find_record(source, OFFICER_KEY, _record_id(sender.agency, sender.officer), replica=True)
    used = find_use(source, sender.agency, key, replica=True) if key else None
    if any(each is not None and each.status == KeyStanding.WITHDRAWN for each in (pinned, used)):
        raise RuleError("OFFICER_KEY_WITHDRAWN", f"the key of {sender.officer!r:.70} was withdrawn")


def verify_own_key(source: Source, act: LeaderAct, signed: bytes) -> None:
    """Returns when the registered key of the one who acts signed these bytes. Refuses OFFICER_KEY, SIGNATURE_FORM."""
    registered = find_officer_key(source, act.agency, act.leader)
    if registered is None:
        raise UntrustedError("OFFICER_KEY", f"expected a key registered for the officer {act.leader!r:.70}")
    try:
        signature = base64.b64decode(act.signature, validate=True)
    except binascii.Error as error:
        raise MalformedError("SIGNATURE_FORM", "expected the officer's signature in base64") from error
    try:
        verify_signature(parse_public_key(registered), signed, signature)
    except UntrustedError as error:
        raise UntrustedError(
            "OFFICER_KEY", f"expected a signature of just this by the key registered for {act.leader!r:.70}"
        ) from error


def is_same_person(source: Source, agency: AgencyId, one: str, *, other: str) -> bool:
    """True for one name, and for two names with one registered key."""
    own = find_officer_key(source, agency, one)
    return one == other or (own is not None and own == find_officer_key(source, agency, other))


def verify_another_person(source: Source, act: LeaderAct, others: Iterable[str]) -> None:
    """Refuses SAME_PERSON when one of the others has the same key: one person under two names."""
    for other in others:
        if other != act.leader and is_same_person(source, act.agency, act.leader, other=other):
            raise RuleError("SAME_PERSON", f"expected two persons: {act.leader} and {other} have the same key")


def _record_id(agency: AgencyId, officer: str) -> str:
    if not _OFFICER.fullmatch(officer):
        raise MalformedError("OFFICER", "expected a pseudonym of 1 to 64 letters, digits, - and _")
    return f"{agency}/{officer}"


def put_officer_key(transaction: GroupTransaction, agency: AgencyId, officer: str, *, status: str, key: str) -> int:
    """Stores the next version of an officer's key and returns its number (OFFICER); `officer_keys` adds the leaf."""
    name = _record_id(agency, officer)
    known = find_record(transaction, OFFICER_KEY, name, replica=False)
    stored = known.version if known is not None else 0
    record = Record(
        id=name,
        kind=OFFICER_KEY,
        owner=NodeName(agency.node),
        version=stored + 1,
        replica=False,
        status=status,
        division=agency.county,
        content=key.encode(),
    )
    put_records(transaction, [record], expect_version=stored)
    return record.version
