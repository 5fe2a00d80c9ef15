"""Officers' own keys as they change: registered and withdrawn with a leaf and a notice, told to others, pinned there.

A province that is asked for fields is told the asking officer's key first, as a signed message; it pins the newest
version and releases nothing under another key. Source: misuse controls M1 and M12.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.lookups_case import basis_of
from federation.domain.officers import (
    OFFICER_KEY_BODY,
    OFFICER_KEY_KIND,
    KeyStanding,
    OfficerKey,
    key_change_flag,
    verify_key_follows,
)
from federation.domain.retention import PROVISION
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Judgement, Received, Rows, allowed_by_rule, item_kind
from federation.node.exchange.replies import intake_office, replies
from federation.node.exchange.send import prepare, record_message
from federation.node.log.boot import leaf_entry, plain_leaf
from federation.node.log.decisions import KEY_TOLD_RULE
from federation.node.officers import OFFICER_KEY, find_officer_key, put_officer_key
from federation.node.oversight.flags import flag_records, put_flags
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.keys import admit_public_key, format_public_key, parse_public_key
from federation.protocol.leaf import LeafKind
from federation.protocol.statement import Recipient
from federation.protocol.trust import Agreement
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest, find_outbox
from federation.store.records import Record, find_record, put_records

TOLD: Final = "officer-key-told"
KEY_SECONDS: Final = 3.0
"""How long a fetch waits for the other province to have the key; one that is down hears of it later."""
_TOLD = allowed_by_rule(KEY_TOLD_RULE, "民警本人密钥的告知", "The notice of an officer's own key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """The moment of a change of a key, and the agreement in force: what its leaf says besides a digest."""

    agreement: Agreement
    now: datetime


def register_officer_key(
    transaction: GroupTransaction, agency: AgencyId, officer: str, *, key: str, at: Occurrence, changes: bool = False
) -> None:
    """Registers an officer's public key, with its leaf; in another's place only when `changes`, with a notice.

    Refuses OFFICER, OFFICER_KEY_EXISTS, and a weak or malformed key. The same key once more is no harm.
    """
    admitted = format_public_key(admit_public_key(parse_public_key(key)))
    known = find_officer_key(transaction, agency, officer)
    if known == admitted:
        return
    if known is not None and not changes:
        raise ConflictError(
            "OFFICER_KEY_EXISTS", f"another key is registered for the officer {officer!r:.70} of {agency}"
        )
    _put(transaction, agency, officer, KeyStanding.REGISTERED, key=admitted, at=at)


def withdraw_officer_key(transaction: GroupTransaction, agency: AgencyId, officer: str, *, at: Occurrence) -> None:
    """Withdraws the key of an officer, with leaf and notice; what it signed stays signed.

    Refuses OFFICER, OFFICER_KEY_UNKNOWN.
    """
    if find_officer_key(transaction, agency, officer) is None:
        raise NotFoundError("OFFICER_KEY_UNKNOWN", f"no key is registered for the officer {officer!r:.70} of {agency}")
    _put(transaction, agency, officer, KeyStanding.WITHDRAWN, key="", at=at)


def _put(
    transaction: GroupTransaction, agency: AgencyId, officer: str, standing: KeyStanding, *, key: str, at: Occurrence
) -> None:
    version = put_officer_key(transaction, agency, officer, status=standing.value, key=key)
    changed = OfficerKey(agency=agency, officer=officer, version=version, standing=standing, key=key)
    subject = hashlib.sha256(encode(changed)).hexdigest()
    transaction.append_leaf(*leaf_entry(plain_leaf(at.agreement, LeafKind.OFFICER_KEY, subject, now=at.now)))
    if version > 1:
        flag = key_change_flag(changed, now=truncate_to_millisecond(at.now))
        put_flags(transaction, [flag], owner=agency.node)


def find_key(source: Source, agency: AgencyId, officer: str, *, pinned: bool) -> OfficerKey | None:
    """Returns the newest version of an officer's key: our own officer's, or one that another province told us."""
    record = find_record(source, OFFICER_KEY, f"{agency}/{officer}", replica=pinned)
    if record is None:
        return None
    return OfficerKey(
        agency=agency,
        officer=officer,
        version=record.version,
        standing=KeyStanding(record.status),
        key=record.content.decode(),
    )


async def tell_key(errand: Errand, to: NodeName) -> None:
    """Tells a province the acting officer's key, once a version, and waits a little until it is there."""
    node = errand.node
    key = find_key(node.database, errand.caller, errand.act.officer, pinned=False)
    if key is None or key.standing is KeyStanding.WITHDRAWN:
        return
    name = f"{to}/{errand.caller}/{key.officer}"
    digest = _told_digest(node.database, name, key.version)
    if digest is None:
        cause = errand.cause(basis_of(errand.act.purpose))
        ready = prepare(node, OFFICER_KEYS.draft(key, to=Recipient(node=to), cause=cause, decision=_TOLD))

        def tell(transaction: GroupTransaction) -> str:
            said = record_message(node, transaction, ready, in_force=errand.in_force)
            put_records(transaction, [_told_record(name, key, said)])
            return said

        digest = (await node.sequencer.commit(tell)).value
        node.wake_delivery(to)
    await replies(node, [digest], seconds=KEY_SECONDS, received=True)


def _told_digest(source: Source, name: str, version: int) -> str | None:
    """The statement that told this version and that arrived, or may arrive yet; None when it is to be told (again)."""
    record = find_record(source, TOLD, name, replica=True)
    if record is None:
        return None
    version_sent, _, digest = record.content.decode().partition(" ")
    message = find_by_digest(source, "sent", digest) if int(version_sent) == version else None
    row = find_outbox(source, message.id) if message is not None else None
    return digest if row is not None and row.state in ("pending", "settled") else None


def _told_record(name: str, key: OfficerKey, digest: str) -> Record:
    return Record(
        id=name, kind=TOLD, owner=NodeName(key.agency.node), version=key.version, replica=True, status="told",
        division=key.agency.county, content=f"{key.version} {digest}".encode(), kept_under=PROVISION,
    )  # fmt: skip


def is_pinned(source: Source, agency: AgencyId, officer: str | None, *, key: str) -> bool:
    """True when this is the very key that the officer's own province told us last."""
    pinned = find_key(source, agency, officer, pinned=True) if officer else None
    return pinned is not None and pinned.standing is KeyStanding.REGISTERED and pinned.key == key


def _judge_key(received: Received[OfficerKey]) -> Judgement:
    """Pins the key of an officer of the sending office (OFFICER_KEY_OTHER, OFFICER_KEY_STEP); a change is a notice."""
    sender, item, node = received.statement.sender, received.item, received.node
    if (sender.agency, sender.officer) != (item.agency, item.officer):
        raise MalformedError("OFFICER_KEY_OTHER", "expected the key of the officer who acts, told by their own office")
    if item.standing is KeyStanding.REGISTERED:
        admit_public_key(parse_public_key(item.key))
    known = find_key(node.database, item.agency, item.officer, pinned=True)
    verify_key_follows(known, item)
    row = Record(
        id=f"{item.agency}/{item.officer}", kind=OFFICER_KEY, owner=sender.node, version=item.version, replica=True,
        status=item.standing.value, division=item.agency.county, content=item.key.encode(), kept_under=PROVISION,
    )  # fmt: skip
    flags = () if known is None or known == item else (key_change_flag(item, now=received.statement.created),)
    desk = intake_office(received.in_force, node.name)
    return Judgement(
        decision=_TOLD,
        rows=Rows(records=() if known == item else (row,), numbered=flag_records(flags, owner=node.name, desk=desk)),
    )


OFFICER_KEYS = item_kind(
    OfficerKey,
    name=OFFICER_KEY_KIND,
    media_type=OFFICER_KEY_BODY,
    judge=_judge_key,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=None,
)
