"""核验外出凭证 at two nodes: yes or no to the offices that the permit names, the same no to all else, and the person is told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Table

from federation.domain.case_items import CaseItem
from federation.domain.leave import (
    SECRET,
    TokenAnswer,
    TokenQuestion,
    make_token,
    parse_token,
    token_digest,
)
from federation.domain.lookups import Outcome
from federation.domain.reports import Disclosure
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.judge import allowed_by_rule, open_received
from federation.node.exchange.replies import find_delivery, statement_of
from federation.node.joint import trace
from federation.node.joint.given import CHECKED
from federation.node.joint.mandates import TOKENS
from federation.node.joint.trace import ask_today
from federation.node.log.replay import replay_log
from federation.node.retention import destroy_ended
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, Pair, parse_agency_id
from federation.protocol.statement import Recipient
from federation.store.database import Database
from federation.store.messages import StoredMessage, find_body, find_message, list_messages
from federation.store.prepared import StoredRow
from federation.wire.agency.cases import TodayAnswer, TodayQuestion
from tests.node.alerts.border_desks import with_desks
from tests.node.joint.desks import Desks, desks, digest, with_agencies
from tests.node.joint.test_community_corrections import DESTINATION, NUMBER, OFFICE, ORIGIN, PERSON, with_corrections
from tests.node.joint.test_given import told
from tests.node.rig import JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, act

WHY = ("corrections.today", "F13")
OTHER_COUNTY = parse_agency_id("jiangxi/361124/corrections")
SCHOOL = {"counties": "361123", "weekdays": "mon,tue,wed,thu,fri"}
ROUTE = CaseItem(kind="corr_route", fields={"county": "361123", "purpose": "送子女上学"})
UNKNOWN = make_token("330822", bytes(SECRET))


class Leave(Desks):
    """A recurring permit of Changshan, from a Monday on, and the token that its person holds."""

    token: str = ""

    async def granted(self, *, begins: str, until: str) -> None:
        await self.open(ORIGIN, procedure="corrections-leave", role="home", division="330822", fields={})
        await self.does(ORIGIN, "invite", agency=str(OFFICE), role="office")
        await self.does(OFFICE, "join")
        await self.does(OFFICE, "file_application", PERSON, ROUTE, starts=begins)
        for kind in ("application", "proof"):
            await self.does(OFFICE, "attach_paper", paper_kind=kind, manifest=digest(kind))
        await self.does(OFFICE, "choose_form", form="recurring", days="180", taken="0")
        await self.does(OFFICE, "move", to="deciding")
        await self.does(ORIGIN, "grant_recurring", number="1", begins=begins, until=until)
        await self.does(ORIGIN, "move", to="recurring")
        await self.does(ORIGIN, "issue_permit", number="外出证1号", day=begins)
        await self.issued(**SCHOOL)

    async def issued(self, **terms: str) -> None:
        self.token = make_token("330822", os.urandom(SECRET))
        await self.does(ORIGIN, "issue_token", token=hashed(self.token), **terms)

    async def asks(
        self, token: str = "", caller: AgencyId = DESTINATION, *, why=WHY, request_id: str | None = None
    ) -> TodayAnswer:
        errand = begin_errand(self.rig[caller.node], caller, act(*why, request_id=request_id))
        answer = await ask_today(errand, TodayQuestion(county="330822", token=hashed(token or self.token)))
        await self.rig.drain()
        return answer

    def bodies(self) -> list[bytes]:
        """The answers that Jiangxi got, as they are in their bodies, oldest first."""
        at = self.rig[JIANGXI].database
        found = list_messages(at, "received", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=100)
        return [find_body(at, each.id).items[0] for each in found if each.kind == trace.TOLD_TODAY.name]


def hashed(token: str) -> str:
    return token_digest(parse_token(token.replace("-", "")))


@pytest.fixture
async def leave(tmp_path: Path) -> AsyncIterator[Leave]:
    """On the first working day of the permit; the clock of the nodes stands still."""
    async with desks(tmp_path, wait=0.05) as found:
        agreement = with_agencies(with_corrections(with_desks(found.rig.agreement)), (OTHER_COUNTY,), ("F13",))
        home = agreement.members[ZHEJIANG]
        named = replace(home.agencies[ORIGIN], name="常山县社区矫正管理局", phone="100-0000-1301")
        home = replace(home, agencies={**home.agencies, ORIGIN: named})
        found.rig.put_in_force(replace(agreement, members={**agreement.members, ZHEJIANG: home}))
        made = Leave(found.rig, why=("corrections.leave", "F13"))
        today = found.rig[ZHEJIANG].today()
        await made.granted(begins=today.isoformat(), until=f"{today.year + 1}{today.isoformat()[4:]}")
        yield made


def advance_to(leave: Leave, weekday: int) -> date:
    """Lets the days go by until the next such weekday."""
    node = leave.rig[ZHEJIANG]
    leave.rig.clock.advance(days=(weekday - node.today().weekday() - 1) % 7 + 1)
    return node.today()


async def test_tuesday_is_answered_yes_and_sunday_no_and_nobody_is_named(leave: Leave) -> None:
    """What crosses is a digest and a yes or no with its day; no name, no number, no case and no token."""
    tuesday = advance_to(leave, 1)
    answer = await leave.asks()
    assert (answer.authorised, answer.day, answer.outcome) == (True, tuesday, Outcome.HIT)
    assert (answer.home, answer.home_phone) == (ORIGIN, "100-0000-1301")
    sunday = advance_to(leave, 6)
    answer = await leave.asks()
    assert (answer.authorised, answer.day) == (False, sunday)

    assert leave.bodies() == [
        f'{{"authorised":true,"day":"{tuesday}"}}'.encode(),
        f'{{"authorised":false,"day":"{sunday}"}}'.encode(),
    ]
    sent = list_messages(leave.rig[JIANGXI].database, "sent", pair=Pair(JIANGXI, ZHEJIANG), after_seq=0, limit=9)
    assert [each.kind for each in sent] == ["corrections.today"] * 2
    for message in sent:
        statement = statement_of(message)
        assert (statement.case, statement.recipient.agency) == (None, ORIGIN)
        body = b"".join(find_body(leave.rig[JIANGXI].database, message.id).items)
        assert body == f'{{"token":"{hashed(leave.token)}"}}'.encode()
        assert not any(word in body.decode() for word in (leave.token, NUMBER, "林谷雨", leave.case))
    replied = list_messages(leave.rig[JIANGXI].database, "received", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=9)
    assert {statement_of(each).sender.agency for each in replied} == {ORIGIN}  # no police office answers for it


async def test_every_no_is_the_same_and_comes_of_the_same_reads(leave: Leave, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, of another county, lost, not today: byte for byte, and the store is read by the very same reads."""
    tuesday = advance_to(leave, 1)
    lost = leave.token
    await leave.issued(**SCHOOL)
    for token, caller in ((UNKNOWN, DESTINATION), (lost, DESTINATION), ("", OTHER_COUNTY)):
        assert (await leave.asks(token, caller)).authorised is False
    assert (await leave.asks()).authorised is True
    sunday = advance_to(leave, 6)
    for token in (UNKNOWN, ""):
        assert (await leave.asks(token)).authorised is False
    *nos, yes, unknown, not_today = leave.bodies()
    assert set(nos) == {f'{{"authorised":false,"day":"{tuesday}"}}'.encode()}
    assert unknown == not_today == f'{{"authorised":false,"day":"{sunday}"}}'.encode()
    assert len(yes) == len(unknown) - 1

    reads = [judged_by(leave, message, monkeypatch) for message in asked_of(leave)]
    assert len(reads) == 6
    assert set(map(tuple, reads)) == {("record leave-token", "counter")}
    node = leave.rig[ZHEJIANG]
    book = node.trust.in_force.policies
    assert replay_log(node.database, lambda _version, _digest: book).is_whole


def asked_of(leave: Leave) -> list[StoredMessage]:
    at, pair = leave.rig[ZHEJIANG].database, Pair(JIANGXI, ZHEJIANG)
    return [each for each in list_messages(at, "received", pair=pair, after_seq=0, limit=99) if "today" in each.kind]


def judged_by(leave: Leave, message: StoredMessage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reads by which a question that came is judged once more, each by its table, the names apart."""
    node, statement = leave.rig[ZHEJIANG], statement_of(message)
    received = open_received(
        node, statement, find_body(node.database, message.id), digest=message.digest, in_force=node.trust.in_force
    )
    reads, find_row = list[str](), Database.find_row

    def noted(at: Database, table: Table, *key: str | int | bool) -> StoredRow | None:
        reads.append(f"{table} {key[1]}" if len(key) > 1 else str(table))
        return find_row(at, table, *key)

    with monkeypatch.context() as patched:
        patched.setattr(Database, "find_row", noted)
        assert trace._judge_token(received).decision.allowed
    return reads


async def test_person_is_told_who_checked_and_what_alone_was_answered(leave: Leave) -> None:
    """Each check of a token of theirs, yes or no, and none of another; gone after 180 days at both sides."""
    advance_to(leave, 1)
    await leave.asks()
    await leave.asks(caller=OTHER_COUNTY)
    await leave.asks(UNKNOWN)

    def lines() -> list[Disclosure]:
        return [line for line in told(leave, ZHEJIANG, NUMBER).lines if line.step == "corrections.today"]

    said = {(line.asker, line.purpose, *line.fields) for line in lines()}
    assert said == {(DESTINATION, WHY[0], "yes"), (OTHER_COUNTY, WHY[0], "no")}
    assert not [line for line in told(leave, JIANGXI, NUMBER).lines if line.step == "corrections.today"]

    fresh = leave.rig.clock() + (leave.rig.agreement.fresh_until_time - leave.rig.clock()) * 200
    leave.rig.put_in_force(
        replace(leave.rig[ZHEJIANG].trust.in_force.agreement, fresh_until_time=fresh, expires_time=fresh)
    )
    leave.rig.clock.advance(days=179)
    await destroy_ended(leave.rig[ZHEJIANG])
    assert len(lines()) == 2
    leave.rig.clock.advance(days=1, seconds=1)
    for name in (ZHEJIANG, JIANGXI):
        await destroy_ended(leave.rig[name])
        for direction, pair in (("sent", Pair(name, JIANGXI if name == ZHEJIANG else ZHEJIANG)),
                                ("received", Pair(JIANGXI if name == ZHEJIANG else ZHEJIANG, name))):  # fmt: skip
            found = list_messages(leave.rig[name].database, direction, pair=pair, after_seq=0, limit=100)
            kept = [each for each in found if "today" in each.kind and find_body(leave.rig[name].database, each.id)]
            assert kept == []
    assert (lines(), list(CHECKED.each(leave.rig[ZHEJIANG].database))) == ([], [])


async def test_police_and_offices_of_the_own_province_are_refused_by_policy(leave: Leave) -> None:
    """An officer who meets the person treats them as anybody else; nothing crosses, and the no is logged."""
    advance_to(leave, 1)
    size = leave.rig[JIANGXI].sequencer.head.size
    police = await leave.asks(caller=YUSHAN_POLICE)
    assert (police.decision.allowed, police.authorised, police.home) == (False, None, None)
    assert leave.rig[JIANGXI].sequencer.head.size == size + 1
    assert not (await leave.asks(why=("corrections.leave", "F13"))).decision.allowed
    assert not (await leave.asks(caller=ORIGIN)).decision.allowed
    assert leave.bodies() == []
    with pytest.raises(BridgeheadError) as caught:
        errand = begin_errand(leave.rig[JIANGXI], DESTINATION, act(*WHY))
        await ask_today(errand, TodayQuestion(county="330824", token=hashed(leave.token)))
    assert caught.value.reason == "TOKEN_HOME"


async def test_link_that_is_down_is_no_no_and_a_revocation_meanwhile_counts_from_when_it_was_told(
    leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is answered; what was revoked and told meanwhile says no from then on, and what was yes before stays yes."""
    monkeypatch.setattr(trace, "WAIT_SECONDS", 0.05)
    request = "0b2f4f9e-6c1e-4f6e-9a55-3f6f3c1f2d11"
    tuesday = advance_to(leave, 1)
    monkeypatch.setattr(trace, "WAIT_SECONDS", 60)
    assert (await leave.asks()).authorised is True
    monkeypatch.setattr(trace, "WAIT_SECONDS", 0.05)
    leave.rig.faults(JIANGXI, ZHEJIANG).cut = True
    errand = begin_errand(leave.rig[JIANGXI], DESTINATION, act(*WHY, request_id=request))
    question = TodayQuestion(county="330822", token=hashed(leave.token))
    away = await ask_today(errand, question)
    assert (away.authorised, away.day, away.outcome) == (None, None, Outcome.UNREACHABLE)
    assert (away.home_name, away.home_phone) == ("常山县社区矫正管理局", "100-0000-1301")
    await leave.does(ORIGIN, "revoke_permit", number="2", day=tuesday.isoformat())
    leave.rig.faults(JIANGXI, ZHEJIANG).cut = False
    await leave.rig.drain()

    again = await ask_today(errand, question)
    assert (again.authorised, again.day) == (True, tuesday)  # revoked, and nobody has told the person yet
    await leave.does(ORIGIN, "tell_person", what="ended", day=tuesday.isoformat())
    monkeypatch.setattr(trace, "WAIT_SECONDS", 60)
    assert (await leave.asks()).authorised is False
    assert (await ask_today(errand, question)).authorised is True  # what was answered stays answered
    lines = [line for line in told(leave, ZHEJIANG, NUMBER).lines if line.step == "corrections.today"]
    assert sorted(min(line.fields) for line in lines) == ["no", "yes", "yes"]
    await leave.does(ORIGIN, "close", outcome="revoked")
    assert list(TOKENS.each(leave.rig[ZHEJIANG].database)) == []


async def test_office_asks_twenty_times_a_day_and_both_sides_count(leave: Leave, monkeypatch) -> None:
    """A no counts as a yes; where the own node lets it on, the answering one stops it by rule."""
    monkeypatch.setattr(trace, "CHECKS_A_DAY", 2)
    advance_to(leave, 1)
    for token in (leave.token, UNKNOWN):
        await leave.asks(token)
    with pytest.raises(BridgeheadError) as caught:
        await leave.asks()
    assert caught.value.reason == "QUOTA_TODAY"
    assert (await leave.asks(caller=OTHER_COUNTY)).authorised is False  # each office has its own
    counted = trace._checks
    monkeypatch.setattr(
        trace, "_checks", lambda node, of: replace(counted(node, of), most=9 if node.name == JIANGXI else 2)
    )
    refused = await leave.asks()
    assert (refused.outcome, refused.policies) == (Outcome.REFUSED, ("rule-quota-today",))
    advance_to(leave, 2)
    assert (await leave.asks()).authorised is True


async def test_question_that_another_province_should_not_ask_is_refused_whatever_the_token(leave: Leave) -> None:
    """Of its police, and of no office of ours, with the very token: refused by policy and by rule, and nothing is told."""
    advance_to(leave, 1)
    question, yes = TokenQuestion(token=hashed(leave.token)), allowed_by_rule("hostile", "x", "x")
    refused = []
    for asker, asked in ((YUSHAN_POLICE, ORIGIN), (DESTINATION, None)):
        errand = begin_errand(leave.rig[JIANGXI], asker, act(*WHY))
        to = Recipient(node=ZHEJIANG, agency=asked)
        draft = trace.TOKEN.draft(question, to=to, cause=errand.cause("x"), decision=yes)
        sent = await errand.send_once(errand.asked("hostile", str(asked)), draft)
        await leave.rig.drain()
        refused.append(find_delivery(leave.rig[JIANGXI], sent).refused)
    assert refused == [("deny-leave-function-not-held",), ("rule-token-home",)]
    assert leave.bodies() == []
    assert list(CHECKED.each(leave.rig[ZHEJIANG].database)) == []


async def test_answer_of_another_office_than_was_asked_is_not_taken_in(leave: Leave) -> None:
    """Neither police nor another corrections office says yes or no for the one that issued the token."""
    advance_to(leave, 1)
    errand = begin_errand(
        leave.rig[JIANGXI], YUSHAN_POLICE, act(*WHY)
    )  # refused there, so that nobody has answered yet
    draft = trace.TOKEN.draft(
        TokenQuestion(token=hashed(leave.token)), to=Recipient(node=ZHEJIANG, agency=ORIGIN),
        cause=errand.cause("x"), decision=allowed_by_rule("asked", "x", "x"),
    )  # fmt: skip
    sent = await errand.send_once(errand.asked("asked", "x"), draft)
    await leave.rig.drain()
    question = find_message(leave.rig[JIANGXI].database, "sent", sent)
    at_home = leave.rig[ZHEJIANG]
    refused = []
    for office in (POLICE, OFFICE, ORIGIN):
        other = begin_errand(at_home, office, act(*WHY))
        reply = trace.TOLD_TODAY.draft(
            TokenAnswer(authorised=True, day=at_home.today()), to=Recipient(node=JIANGXI, agency=DESTINATION),
            cause=other.cause("x", in_reply_to=question.digest), decision=allowed_by_rule("answered", "x", "x"),
        )  # fmt: skip
        replied = await other.send_once(other.asked("answered", str(office)), reply)
        await leave.rig.drain()
        refused.append(find_delivery(at_home, replied).refused)
    assert refused == [("rule-reply-office",), ("rule-reply-office",), ()]


async def test_only_the_digest_of_a_token_is_kept_and_no_item_of_the_case_crosses(leave: Leave) -> None:
    """The token itself stands in no record and no entry of its home."""
    (kept,) = TOKENS.each(leave.rig[ZHEJIANG].database)
    assert (kept.token, kept.person, kept.counties) == (hashed(leave.token), NUMBER, ("361123",))
    plain = leave.token.replace("-", "")
    assert all(text not in str(line.fields) for line in await leave.entries(ORIGIN) for text in (leave.token, plain))
