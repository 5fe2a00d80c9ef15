"""A key that its province has told is withdrawn, in the hands of a province that goes on asking with it.

What counts is when the answerer knows: every question that arrives later is a logged no with a rule of its own, made
before or not; what it released before stays released.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from federation.cli.lookups import sign_fetch
from federation.domain.lookups import Outcome
from federation.domain.officers import KeyStanding, OfficerKey, offer_key, parse_offer
from federation.domain.oversight import BreakGlass, Finding, review_bytes
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.lookups import ask, cases
from federation.node.lookups import fetch as fetching
from federation.node.officer_keys import Occurrence, enrol_administrator, find_key, is_pinned, register, withdraw
from federation.node.officers import verify_counts
from federation.node.oversight.glass_review import review_break_glass
from federation.node.retention import destroy_ended
from federation.protocol.body import Body
from federation.protocol.envelope import sign_envelope
from federation.protocol.errors import RuleError
from federation.protocol.form import encode, replace
from federation.protocol.ids import Pair
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.statement import Recipient, Sender, encode_statement
from federation.store.log_reader import find_leaf
from federation.store.messages import StoredMessage, list_messages, load_body
from federation.wire.agency.keys import KeyQuestion
from federation.wire.agency.lookups import FetchResult
from federation.wire.agency.oversight import ReviewQuestion
from tests.node.lookups.office import CASE, GLASS, PURPOSE, Office, office
from tests.node.rig import HALL, JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, application, kit, register_key, statement

pytestmark = pytest.mark.attack("a question under a withdrawn key", held_by="the withdrawal is told and pinned")
FIELDS = frozenset({"holder_name", "status"})
SHE = "officer-1"
OWN = Ed25519Signer(b"\x01" * 32)
PUBLIC = format_public_key(OWN.public_key)
WITHDRAWN = ("rule-officer-key-withdrawn",)


@pytest.fixture
async def found(tmp_path: Path) -> AsyncIterator[Office]:
    """Her key and an administrator's are registered, a case is open, and a person of Changshan has a permit."""
    async with office(tmp_path) as made:
        node = made.rig[JIANGXI]
        at = Occurrence(agreement=node.trust.in_force.agreement, now=node.now())
        admin = OfficerKey(
            agency=YUSHAN_POLICE, officer="admin-1", version=0, standing=KeyStanding.ADMINISTERS,
            key=format_public_key(Ed25519Signer(b"\x05" * 32).public_key),
        )  # fmt: skip
        await node.sequencer.commit(lambda tx: enrol_administrator(tx, admin, at=at))
        await register_key(node, YUSHAN_POLICE, SHE, key=PUBLIC)
        await made.open()
        assert (await permits.register(begin_errand(made.rig[ZHEJIANG], HALL, act()), application())).permit
        yield made


async def withdrawn(found: Office, officer: str = SHE) -> OfficerKey:
    errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act("keys.administration", "F03", officer="admin-1"))
    return await withdraw(errand, officer)


async def handle(found: Office) -> str:
    (answer,) = (await found.search(application().holder.citizen_number)).answers
    assert answer.handle is not None, answer
    return answer.handle


async def fetch(found: Office, shown: str) -> FetchResult:
    question = sign_fetch(OWN, case_id=CASE, node=ZHEJIANG, handle=shown, fields=FIELDS)
    return await fetching.fetch(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03")), question)


def sent(found: Office, kind: str) -> list[StoredMessage]:
    messages = list_messages(found.rig[JIANGXI].database, "sent", pair=Pair(JIANGXI, ZHEJIANG), after_seq=0, limit=99)
    return [message for message in messages if message.kind == kind]


async def brought(found: Office, message: StoredMessage) -> Leaf:
    """Brings one queued message over by hand; the leaf that it got."""
    body = load_body(found.rig[JIANGXI].database, message.id)
    return await told(found, Submission(envelope=message.envelope, body=body))


async def told(found: Office, submission: Submission) -> Leaf:
    answer = await receive(found.rig[ZHEJIANG], submission, peer=JIANGXI)
    assert isinstance(answer, Receipt)
    return decode_leaf(answer.leaf)


def pinned(found: Office) -> KeyStanding:
    key = find_key(found.rig[ZHEJIANG].database, YUSHAN_POLICE, SHE, pinned=True)
    assert key is not None
    return key.standing


async def test_question_that_arrives_after_the_withdrawal_is_a_logged_no(found: Office, monkeypatch) -> None:
    """Before it fields are released; a search and a fetch that were under way when it came are refused."""
    assert (await fetch(found, await handle(found))).outcome is Outcome.HIT
    assert pinned(found) is KeyStanding.REGISTERED
    shown = await handle(found)
    found.rig.faults(JIANGXI, ZHEJIANG).cut = True
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(ask, "WAIT_SECONDS", 0.01)
    await fetch(found, shown)
    await found.search(application().holder.citizen_number)
    under_way = sent(found, "lookup.fetch")[-1], sent(found, "lookup.search")[-1]

    gone = await withdrawn(found)
    assert gone.standing is KeyStanding.WITHDRAWN
    assert find_leaf(found.rig[JIANGXI].database, LeafKind.SENT, sent(found, "officer.key")[-1].digest) is not None
    assert (await brought(found, sent(found, "officer.key")[-1])).kind is LeafKind.RECEIVED
    assert pinned(found) is KeyStanding.WITHDRAWN
    for message in under_way:
        leaf = await brought(found, message)
        assert (leaf.kind, leaf.policies) == (LeafKind.REFUSED, WITHDRAWN)
    assert (await fetch(found, shown)).policies == ("rule-officer-key",)  # nor does her own node let it out


async def test_damaged_row_of_what_was_told_keeps_no_withdrawal_from_being_told(found: Office) -> None:
    """That the province knows the key cannot be read any more: it is told."""
    assert (await fetch(found, await handle(found))).outcome is Outcome.HIT
    with closing(sqlite3.connect(found.rig.hosts[JIANGXI].path)) as connection:
        assert connection.execute("UPDATE record SET content = x'00' WHERE kind = 'officer-key-told'").rowcount == 1
        connection.commit()

    await withdrawn(found)
    await found.rig.drain()

    assert pinned(found) is KeyStanding.WITHDRAWN


@pytest.mark.parametrize("days", [1, 40])
async def test_province_that_was_down_learns_of_it_afterwards(found: Office, days: int) -> None:
    """However long: what expired on its way is said again until it is heard."""
    assert (await fetch(found, await handle(found))).outcome is Outcome.HIT
    rig = found.rig
    rig.faults(JIANGXI, ZHEJIANG).cut = True
    await withdrawn(found)
    rig.clock.advance(days=days)
    until = rig.clock() + timedelta(days=30)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=until, expires_time=until))
    rig[JIANGXI].wake_delivery(ZHEJIANG)
    if days > 3:
        await rig.drain()
        await destroy_ended(rig[JIANGXI])
    assert pinned(found) is KeyStanding.REGISTERED

    await rig.restore(JIANGXI, ZHEJIANG)
    await destroy_ended(rig[JIANGXI])
    await rig.drain()

    assert pinned(found) is KeyStanding.WITHDRAWN
    assert len(sent(found, "officer.key")) == (3 if days > 3 else 2)


async def test_replaced_key_is_withdrawn_where_it_was_told(found: Office) -> None:
    """At once, without waiting for the next fetch; the new one counts there."""
    await fetch(found, await handle(found))
    shown, new = await handle(found), Ed25519Signer(b"\x02" * 32)
    offer = parse_offer(offer_key(new, agency=YUSHAN_POLICE, officer=SHE))
    errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act("keys.administration", "F03", officer="admin-1"))
    await register(errand, KeyQuestion(officer=SHE, key=offer.key, proof=offer.proof, replaces=True))
    await found.rig.drain()
    database = found.rig[ZHEJIANG].database
    assert is_pinned(database, YUSHAN_POLICE, SHE, key=format_public_key(new.public_key))
    with pytest.raises(RuleError, match="OFFICER_KEY_WITHDRAWN"):
        verify_counts(database, Sender(node=JIANGXI, agency=YUSHAN_POLICE, officer=SHE), key=PUBLIC)
    question = sign_fetch(new, case_id=CASE, node=ZHEJIANG, handle=shown, fields=FIELDS)
    errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03"))
    assert (await fetching.fetch(errand, question)).outcome is Outcome.HIT


async def test_withdrawn_key_cannot_be_told_again(found: Office) -> None:
    """A province that says it anew, under a later version or another name, is refused; another key may follow."""
    await fetch(found, await handle(found))
    await withdrawn(found)
    await found.rig.drain()
    other = format_public_key(Ed25519Signer(b"\x06" * 32).public_key)

    async def say(seq: int, **changes: object) -> tuple[str, ...]:
        again = OfficerKey(
            agency=YUSHAN_POLICE, officer=SHE, version=9, standing=KeyStanding.REGISTERED, key=PUBLIC
        )  # fmt: skip
        item = encode(replace(again, **changes))
        body = Body(type="application/vnd.bridgehead.officer-key.v1+json", salt=os.urandom(32), items=(item,))
        made = statement(
            found.rig, body, seq=seq, kind="officer.key",
            sender=Sender(node=JIANGXI, agency=YUSHAN_POLICE, officer=SHE), recipient=Recipient(node=ZHEJIANG),
            purpose=PURPOSE, function="F03",
        )  # fmt: skip
        envelope = sign_envelope(encode_statement(made), kit().keyrings[JIANGXI].message)
        return (await told(found, Submission(envelope=envelope, body=body))).policies

    assert await say(901) == WITHDRAWN
    assert await say(902, officer="officer-2", version=1) == WITHDRAWN
    assert await say(903, version=1) == ("rule-officer-key-step",)
    assert pinned(found) is KeyStanding.WITHDRAWN
    assert await say(904, key=other) == ("officer-key-told",)
    assert pinned(found) is KeyStanding.REGISTERED


async def test_nobody_asks_in_a_case_whose_leader_lost_the_key(found: Office) -> None:
    """It stays as it is, with what was released, until any officer of the office closes it."""
    shown = await handle(found)
    await withdrawn(found, "leader-1")
    (no,) = (await found.search(application().holder.citizen_number)).answers
    assert (no.outcome, no.policies) == (Outcome.REFUSED, ("rule-case-leader-gone",))
    assert (await fetch(found, shown)).policies == ("rule-case-leader-gone",)
    closing = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03"))
    assert (await cases.end_case(closing, CASE)).decision.allowed


async def review(found: Office, reviewer: str) -> BreakGlass:
    content = review_bytes(GLASS, YUSHAN_POLICE, finding=Finding.JUSTIFIED)
    signed = found.signed(GLASS, content, leader=reviewer)
    question = ReviewQuestion(case_id=GLASS, finding=Finding.JUSTIFIED, words="", signature=signed.signature)
    errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act(reviewer))
    return (await review_break_glass(errand, question)).notice


async def test_glass_of_a_leader_who_lost_the_key_is_reviewed_by_another(found: Office) -> None:
    """Never by who broke it: an office is not shut out of the next one for good."""
    await found.open(GLASS)
    await withdrawn(found, "leader-1")
    with pytest.raises(RuleError, match="BREAK_GLASS_REVIEWER"):
        await review(found, SHE)
    assert (await review(found, "officer-9")).leader == "officer-9"
