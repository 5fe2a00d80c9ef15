"""Officers' own keys as they change: registered and withdrawn with a leaf and a notice, told to others, pinned there.

The administrators of an office change them, each by a call that their own key signs, for their own office alone; the
home's holder enrols the first one. An administrator's key asks nothing about a person, and no key changes its standing
but to be withdrawn, for good. A province that is asked for fields is told the asking officer's key first, as a signed
message; it pins the newest version and releases nothing under another key. Each change after that is told to it in the
transaction of the change, and again until it is heard. Source: misuse controls M1 and M12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.lookups_case import basis_of
from federation.domain.officers import (
    CHANGES_A_DAY,
    KEY_BASIS,
    OFFICER_KEY_BODY,
    OFFICER_KEY_KIND,
    KeyOffer,
    KeyStanding,
    OfficerKey,
    key_change_flag,
    key_subject,
    verify_key_follows,
    verify_offer,
)
from federation.domain.oversight import ReadingKind
from federation.domain.retention import PROVISION
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Judgement, Received, Rows, allowed_by_rule, item_kind
from federation.node.exchange.replies import intake_office, replies
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Draft, prepare, record_message
from federation.node.log.boot import leaf_entry
from federation.node.log.decisions import KEY_TOLD_RULE
from federation.node.node import plain_leaf
from federation.node.officers import KEY_USE, OFFICER_KEY, find_use, or_logged, put_officer_key, use_id
from federation.node.oversight.flags import flag_records, put_flags
from federation.node.oversight.readings import note_reading
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import decode, replace
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.keys import admit_public_key, format_public_key, parse_public_key
from federation.protocol.leaf import LeafKind
from federation.protocol.statement import Recipient
from federation.protocol.trust import Agreement
from federation.store.collection import page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest, find_outbox
from federation.store.records import Record, each_in_range, find_record, find_version, ids_under, put_records
from federation.wire.agency import keys as wire
from federation.wire.agency.keys import KeyPage, KeyQuery, KeyQuestion

TOLD: Final = "officer-key-told"
KEY_SECONDS: Final = 3.0
"""How long a fetch waits for the other province to have the key; one that is down hears of it later."""
_TOLD = allowed_by_rule(KEY_TOLD_RULE, "经办人本人密钥的告知", "The notice of an officer's own key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """The moment of a change of a key, the agreement in force, and which administrator made it: empty for the home."""

    agreement: Agreement
    now: datetime
    by: str = ""


def register_key(
    transaction: GroupTransaction, offered: OfficerKey, *, at: Occurrence, replaces: bool = False
) -> OfficerKey:
    """Registers an officer's or an administrator's public key, with its leaf, and returns it in its version.

    In another's place only when it `replaces` that, which never counts again. What is replaced, and what an
    administrator registers, is a notice. The same key once more is no harm. Refuses OFFICER, OFFICER_KEY_EXISTS,
    OFFICER_KEY_WITHDRAWN for a key that was withdrawn or replaced, OFFICER_KEY_ROLE for a name or a key that is of the
    other standing (who registers keys asks nothing about persons), and a weak or malformed key.
    """
    key = format_public_key(admit_public_key(parse_public_key(offered.key)))
    officer, standing = offered.officer, offered.standing
    known = find_key(transaction, offered.agency, officer, pinned=False)
    if known is not None and (known.standing, known.key) == (standing, key):
        return known
    if known is not None and known.standing is not KeyStanding.WITHDRAWN:
        if known.standing is not standing:
            raise RuleError("OFFICER_KEY_ROLE", f"{officer!r:.70} is registered as another's: {known.standing}")
        if not replaces:
            raise RuleError(
                "OFFICER_KEY_EXISTS", f"another key is registered for the officer {officer!r:.70} of {offered.agency}"
            )
    use = find_use(transaction, offered.agency, key)
    if use is not None and use.status == KeyStanding.WITHDRAWN:
        raise RuleError("OFFICER_KEY_WITHDRAWN", "expected a new key: this one was withdrawn or replaced before")
    if use is not None and use.status != standing:
        raise RuleError("OFFICER_KEY_ROLE", f"expected a key of its own: this one is {use.content.decode()}'s")
    if use is None:
        put_records(transaction, [_use(replace(offered, key=key), standing, replica=False)])
    return _put(transaction, replace(offered, key=key), known, at=at)


def withdraw_key(transaction: GroupTransaction, agency: AgencyId, officer: str, *, at: Occurrence) -> OfficerKey:
    """Withdraws the key of an officer or an administrator, with leaf and notice; what it signed stays signed.

    Refuses OFFICER, OFFICER_KEY_UNKNOWN, LAST_ADMINISTRATOR.
    """
    known = find_key(transaction, agency, officer, pinned=False)
    if known is None or known.standing is KeyStanding.WITHDRAWN:
        raise RuleError("OFFICER_KEY_UNKNOWN", f"no key is registered for the officer {officer!r:.70} of {agency}")
    if known.standing is KeyStanding.ADMINISTERS and len(list_administrators(transaction, agency)) < 2:
        raise RuleError("LAST_ADMINISTRATOR", f"expected {agency} to have another administrator before {officer} goes")
    return _put(transaction, replace(known, standing=KeyStanding.WITHDRAWN), known, at=at)


def enrol_administrator(
    transaction: GroupTransaction, offered: OfficerKey, *, at: Occurrence, replaces: bool = False
) -> OfficerKey:
    """Registers the first administrator of an office, as the home's holder does when the office is enrolled.

    Refuses ADMINISTRATOR_EXISTS where there is one, unless this one `replaces` them all, whose keys are lost: with a
    leaf and a notice each. And as `register_key`.
    """
    others = [each for each in list_administrators(transaction, offered.agency) if each.officer != offered.officer]
    if others and not replaces:
        raise RuleError("ADMINISTRATOR_EXISTS", f"{others[0].officer} administers the keys of {offered.agency}")
    enrolled = register_key(transaction, offered, at=at, replaces=replaces)
    for each in others:
        withdraw_key(transaction, each.agency, each.officer, at=at)
    return enrolled


def list_administrators(source: Source, agency: AgencyId) -> list[OfficerKey]:
    return [key for key in each_key(source, agency) if key.standing is KeyStanding.ADMINISTERS]


def _put(transaction: GroupTransaction, wanted: OfficerKey, known: OfficerKey | None, *, at: Occurrence) -> OfficerKey:
    agency, officer = wanted.agency, wanted.officer
    version = put_officer_key(transaction, agency, officer, status=wanted.standing.value, key=wanted.key)
    changed = replace(wanted, version=version)
    said = [changed]
    if known is not None and known.standing is not KeyStanding.WITHDRAWN:
        put_records(transaction, [_use(known, KeyStanding.WITHDRAWN, replica=False)])
        said.insert(0, replace(known, version=version, standing=KeyStanding.WITHDRAWN))  # who has the key sees its end
    for subject in map(key_subject, said):  # of a withdrawal both are one, and one leaf
        transaction.append_leaf(*leaf_entry(plain_leaf(at.agreement, LeafKind.OFFICER_KEY, subject, now=at.now)))
    if version > 1 or at.by:
        flag = key_change_flag(changed, now=truncate_to_millisecond(at.now), by=at.by)
        put_flags(transaction, [flag], owner=agency.node)
    return changed


def _use(of: OfficerKey, standing: KeyStanding, *, replica: bool) -> Record:
    """The row of what a key counts as, whoever has it: it changes once, and for good, when it is withdrawn."""
    return Record(
        id=use_id(of.agency, of.key), kind=KEY_USE, owner=NodeName(of.agency.node),
        version=2 if standing is KeyStanding.WITHDRAWN else 1, replica=replica, status=standing.value,
        division=of.agency.county, content=of.officer.encode(), kept_under=PROVISION,
    )  # fmt: skip


def each_key(source: Source, agency: AgencyId, after: str = "") -> Iterator[OfficerKey]:
    """The newest versions of the keys of our own office, by name, behind that one."""
    names = replace(ids_under(f"{agency}/"), after=f"{agency}/{after}")
    return (_key_of(record, agency) for record in each_in_range(source, OFFICER_KEY, names, replica=False))


# ---- what an administrator of an office does


@on(wire.REGISTER_KEY)
async def register(errand: Errand, question: KeyQuestion) -> OfficerKey:
    """Registers what an officer, or a further administrator, of the caller's own office offers; each no is logged.

    Refuses OFFER_PROOF, OFFICER_KEY_TAKEN for a key that somebody else of the office has, QUOTA_KEYS,
    REQUEST_ID_REUSED, and as `register_key`.
    """
    offer = KeyOffer(agency=errand.caller, officer=question.officer, key=question.key, proof=question.proof)
    standing = KeyStanding.ADMINISTERS if question.administers else KeyStanding.REGISTERED
    offered = OfficerKey(agency=offer.agency, officer=offer.officer, version=0, standing=standing, key=offer.key)

    def write(transaction: GroupTransaction) -> OfficerKey:
        verify_offer(offer)
        use = find_use(transaction, offer.agency, offer.key)
        if use is not None and use.content.decode() != offer.officer:
            raise RuleError("OFFICER_KEY_TAKEN", f"expected a key of their own: this one is {use.content.decode()}'s")
        return register_key(transaction, offered, at=_now(errand), replaces=question.replaces)

    return await _change(errand, f"{standing} {offer.officer} {offer.key} {question.replaces}", write)


@on(wire.WITHDRAW_KEY)
async def withdraw(errand: Errand, officer: str) -> OfficerKey:
    """Withdraws a key of the caller's own office; each no is logged. Refuses QUOTA_KEYS, and as `withdraw_key`."""
    return await _change(
        errand, f"withdraw {officer}", lambda tx: withdraw_key(tx, errand.caller, officer, at=_now(errand))
    )


@on(wire.LIST_KEYS)
async def list_keys(errand: Errand, query: KeyQuery) -> KeyPage:
    """Lists the keys of the caller's own office, by name; the reading is noted (PAGE_TOKEN)."""
    await note_reading(errand, step=ReadingKind.KEYS)
    source, agency = errand.node.database, errand.caller
    page = page_behind(
        source.keys,
        f"{OFFICER_KEY}/{agency}",
        lambda place: ((key.officer, key) for key in each_key(source, agency, place)),
        limit=query.page_size,
        token=query.page_token,
    )
    return KeyPage(keys=page.values, next_page_token=page.next_token)


def _now(errand: Errand) -> Occurrence:
    return Occurrence(agreement=errand.in_force.agreement, now=errand.node.now(), by=errand.act.officer)


async def _change(errand: Errand, what: str, write: Callable[[GroupTransaction], OfficerKey]) -> OfficerKey:
    """Changes a key once; who signed must still be an administrator in the transaction that changes it."""
    asked = errand.asked(OFFICER_KEY, what)
    known = errand.remembered(asked, OfficerKey)
    if known is not None:
        return known.answer

    def change(transaction: GroupTransaction) -> OfficerKey:
        own = find_key(transaction, errand.caller, errand.act.officer, pinned=False)
        if own is None or own.standing is not KeyStanding.ADMINISTERS:
            raise RuleError("ADMINISTRATOR_KEY", "expected an administrator whose key was not withdrawn meanwhile")
        if transaction.count_up(f"officer-keys/{errand.caller}/{errand.node.today()}") > CHANGES_A_DAY:
            raise RuleError("QUOTA_KEYS", f"expected at most {CHANGES_A_DAY} changes of keys of one office a day")
        changed = write(transaction)
        _tell_change(errand, transaction, changed)
        return changed

    changed = await or_logged(errand, errand.once(asked, OfficerKey, change))
    for province in errand.in_force.agreement.members:
        errand.node.wake_delivery(province)
    return changed


def _tell_change(errand: Errand, transaction: GroupTransaction, changed: OfficerKey) -> None:
    """Tells every province that was told the officer's key before, in the transaction of the change."""
    for province in sorted(errand.in_force.agreement.members):
        heard = find_version(transaction, TOLD, _told_name(province, changed), replica=True)  # a damaged row too
        if heard and changed.standing is not KeyStanding.ADMINISTERS:
            _tell(errand, transaction, changed, to=province, basis=KEY_BASIS)


def _tell(errand: Errand, transaction: GroupTransaction, key: OfficerKey, *, to: NodeName, basis: str) -> str:
    """Says a key to a province and writes down which statement did; returns its digest."""
    ready = prepare(errand.node, OFFICER_KEYS.draft(
        key, to=Recipient(node=to), cause=errand.cause(basis), decision=_TOLD,
        rows=lambda sent: (_told_record(transaction, key, to, sent.digest),),
    ))  # fmt: skip
    return record_message(errand.node, transaction, ready, in_force=errand.in_force)


# ---- what other provinces are told


def find_key(source: Source, agency: AgencyId, officer: str, *, pinned: bool) -> OfficerKey | None:
    """Returns the newest version of an officer's key: our own officer's, or one that another province told us."""
    record = find_record(source, OFFICER_KEY, f"{agency}/{officer}", replica=pinned)
    return _key_of(record, agency) if record is not None else None


def _key_of(record: Record, agency: AgencyId) -> OfficerKey:
    return OfficerKey(
        agency=agency,
        officer=record.id.removeprefix(f"{agency}/"),
        version=record.version,
        standing=KeyStanding(record.status),
        key=record.content.decode(),
    )


async def tell_key(errand: Errand, to: NodeName) -> None:
    """Tells a province the acting officer's key, once a version, and waits a little until it is there."""
    node = errand.node
    key = find_key(node.database, errand.caller, errand.act.officer, pinned=False)
    if key is None or key.standing is not KeyStanding.REGISTERED:
        return
    digest = _told_digest(node.database, _told_name(to, key), key.version)
    if digest is None:

        def tell(transaction: GroupTransaction) -> str | None:
            if find_key(transaction, key.agency, key.officer, pinned=False) != key:
                return None  # changed meanwhile: that is told instead, or nothing
            return _tell(errand, transaction, key, to=to, basis=basis_of(errand.act.purpose))

        digest = (await node.sequencer.commit(tell)).value
        node.wake_delivery(to)
    await replies(node, [digest] if digest else [], seconds=KEY_SECONDS, received=True)


def _told_name(to: NodeName, key: OfficerKey) -> str:
    return f"{to}/{key.agency}/{key.officer}"


def _told_digest(source: Source, name: str, version: int) -> str | None:
    """The statement that told this version and that arrived, or may arrive yet; None when it is to be told (again)."""
    version_sent, digest = _find_notified(source, name)
    message = find_by_digest(source, "sent", digest) if version_sent == version else None
    row = find_outbox(source, message.id) if message is not None else None
    return digest if row is not None and row.state in ("pending", "settled") else None


def _find_notified(source: Source, name: str) -> tuple[int, str]:
    """The version that was told last, and by which statement; (0, "") for none, and where the row cannot be read."""
    with suppress(CorruptError, ValueError):
        record = find_record(source, TOLD, name, replica=True)
        if record is not None:
            version, _, digest = record.content.decode().partition(" ")
            return int(version), digest
    return 0, ""


def _told_record(source: Source, key: OfficerKey, to: NodeName, digest: str) -> Record:
    name = _told_name(to, key)
    return Record(
        id=name, kind=TOLD, owner=NodeName(key.agency.node), version=find_version(source, TOLD, name, replica=True) + 1,
        replica=True, status="told", division=key.agency.county, content=f"{key.version} {digest}".encode(),
        kept_under=PROVISION,
    )  # fmt: skip


def _resent_key(missed: Missed) -> Draft | None:
    """The same words again; nothing when the province was told of the key since."""
    key, to = decode(OfficerKey, missed.body.items[0]), missed.statement.recipient.node
    name = _told_name(to, key)
    digest = _find_notified(missed.source, name)[1]
    if digest != missed.message.digest and (digest or not find_version(missed.source, TOLD, name, replica=True)):
        return None
    return missed.again(rows=lambda sent: (_told_record(missed.source, key, to, sent.digest),))


def is_pinned(source: Source, agency: AgencyId, officer: str | None, *, key: str) -> bool:
    """True when this is the very key that the officer's own province told us last."""
    pinned = find_key(source, agency, officer, pinned=True) if officer else None
    return pinned is not None and pinned.standing is KeyStanding.REGISTERED and pinned.key == key


def _judge_key(received: Received[OfficerKey]) -> Judgement:
    """Pins the key of an officer of the sending office; a change is a notice.

    Refuses OFFICER_KEY_OTHER, OFFICER_KEY_STEP, and OFFICER_KEY_WITHDRAWN for one that was told to be withdrawn before.
    """
    sender, item, node = received.statement.sender, received.item, received.node
    if sender.agency != item.agency or item.standing is KeyStanding.ADMINISTERS:
        raise MalformedError("OFFICER_KEY_OTHER", "expected the key of an officer, told by their own office")
    admit_public_key(parse_public_key(item.key))
    known = find_key(node.database, item.agency, item.officer, pinned=True)
    verify_key_follows(known, item)
    is_gone = item.standing is KeyStanding.WITHDRAWN
    if not is_gone and item != known and find_use(node.database, item.agency, item.key, replica=True) is not None:
        raise RuleError("OFFICER_KEY_WITHDRAWN", "expected a key that was not withdrawn or replaced before")
    row = Record(
        id=f"{item.agency}/{item.officer}", kind=OFFICER_KEY, owner=sender.node, version=item.version, replica=True,
        status=item.standing.value, division=item.agency.county, content=item.key.encode(), kept_under=PROVISION,
    )  # fmt: skip
    spent = {each.key: each for each in (known, item) if each is not None and (is_gone or each.key != item.key)}
    uses = (_use(each, KeyStanding.WITHDRAWN, replica=True) for each in spent.values())
    flags = () if known is None or known == item else (key_change_flag(item, now=received.statement.created),)
    desk = intake_office(received.in_force, node.name)
    return Judgement(
        decision=_TOLD,
        rows=Rows(
            records=() if known == item else (row, *uses), numbered=flag_records(flags, owner=node.name, desk=desk)
        ),
    )


OFFICER_KEYS = item_kind(
    OfficerKey,
    name=OFFICER_KEY_KIND,
    media_type=OFFICER_KEY_BODY,
    judge=_judge_key,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=_resent_key,
)
