"""Duty at a node: who is on, a shift handed over by two signatures and proved from the log, volunteers and patrols."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from federation.domain import duty_roster as book
from federation.domain.duty_roster import DutyAct, DutyLine, HandOver, OpenAlert
from federation.domain.duty_volunteers import Activity
from federation.domain.officers import KeyStanding, OfficerKey
from federation.node import duty, duty_volunteers
from federation.node.exchange.errand import begin_errand
from federation.node.node import Node
from federation.node.officer_keys import Occurrence, withdraw_key
from federation.protocol.errors import ConflictError, NotFoundError, RuleError, UntrustedError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import find_leaf, load_entries
from federation.wire.agency import duty as wire
from tests.node.rig import POLICE, START, YUSHAN_POLICE, ZHEJIANG, Rig, act, register_key, running_rig

TOWN, WAGON = "330822111.town", "330822.wagon.1"
OFFICE = parse_agency_id("zhejiang/330822/town")
CENTRE = parse_agency_id("zhejiang/330822/governance")
FORESTRY = parse_agency_id("zhejiang/330824/forestry")
YUSHAN = parse_agency_id("jiangxi/361123/governance")
GUARDS, TRIPOINT = "330824.guards", "tri.qixi"
WHY = {OFFICE: "F12", CENTRE: "F12", POLICE: "F08", FORESTRY: "F19", YUSHAN: "F12", YUSHAN_POLICE: "F08"}
A, B = "town-1", "town-2"
KEYS = {A: Ed25519Signer(b"\x01" * 32), B: Ed25519Signer(b"\x02" * 32)}
ALERTS = tuple(
    OpenAlert(
        record=f"zhejiang/01936000-0000-7000-8000-00000000000{number}", cap_id=f"33082211100000_2026112316000{number}_0",
        kind="dispute", state="accepted", holder=TOWN, lease=START + timedelta(minutes=15),
        overdue=("contacted",) if number == 3 else (),
    )
    for number in range(4)
)  # fmt: skip
"""Four that are open, of which one is late."""


@dataclass
class Shift:
    """A node with the town's two officers, and the alerts that are open at their desk."""

    rig: Rig
    alerts: list[OpenAlert] = field(default_factory=list)

    @property
    def node(self) -> Node:
        return self.rig[ZHEJIANG]

    def errand(self, officer: str = A, caller: AgencyId = OFFICE, *, request_id: str | None = None, function: str = ""):
        made = act("alert.duty", function or WHY[caller], request_id=request_id)
        return begin_errand(self.node, caller, replace(made, officer=officer))

    async def on(self, officer: str = A, desk: str = TOWN, **how) -> DutyLine:
        outcome = await duty.sign_on(self.errand(officer), wire.SigningOn(desk=desk, **how))
        assert outcome.line is not None, outcome.decision
        return outcome.line

    async def off(self, officer: str = A) -> DutyLine:
        outcome = await duty.sign_off(self.errand(officer), TOWN)
        assert outcome.line is not None
        return outcome.line

    async def draft(self, officer: str = A, to: str = "", *promises: str) -> HandOver:
        paper = await duty.draft(self.errand(officer), wire.HandOverPlan(desk=TOWN, incoming=to, promises=promises))
        assert paper.hand_over is not None
        return paper.hand_over

    async def sign(self, entry: HandOver, officer: str, *, by: str = "") -> DutyLine:
        signature = base64.b64encode(KEYS[by or officer].sign(book.hand_over_bytes(entry))).decode()
        signing = wire.HandOverSigning(hand_over=entry, signature=signature)
        outcome = await duty.sign_hand_over(self.errand(officer), signing)
        assert outcome.line is not None
        return outcome.line

    async def standing(self, caller: AgencyId = OFFICE, at=None) -> wire.DeskStanding:
        page = await duty.read_roster(self.errand(caller=caller), wire.RosterQuery(desk=TOWN, at=at))
        assert page.standing is not None
        return page.standing

    async def withdraw(self, officer: str) -> None:
        at = Occurrence(agreement=self.node.trust.in_force.agreement, now=self.node.now())
        await self.node.sequencer.commit(lambda tx: withdraw_key(tx, OFFICE, officer, at=at))

    def now_on(self) -> tuple[str, ...]:
        return duty.signed_on(self.node.database, TOWN, self.rig.clock())


@asynccontextmanager
async def shift(folder: Path, monkeypatch) -> AsyncIterator[Shift]:
    async with running_rig(folder, names=(ZHEJIANG,)) as rig:
        found = Shift(rig)
        monkeypatch.setattr(
            duty, "open_alerts_of", lambda source, office, desk: tuple(found.alerts) if desk == TOWN else ()
        )
        for officer, key in KEYS.items():
            await register_key(rig[ZHEJIANG], OFFICE, officer, key=format_public_key(key.public_key))
        yield found


async def test_shift_is_handed_over_by_two_signatures_that_a_stranger_can_verify(tmp_path: Path, monkeypatch) -> None:
    """Four alerts are open, one is late: both sign that one list; the old shift answers until the second signature.

    The row is a leaf of the log, its keys are leaves, too, and each row cites the row before.
    """
    async with shift(tmp_path, monkeypatch) as found:
        found.alerts += ALERTS
        await found.on(A)
        found.rig.clock.advance(hours=7)
        await found.on(B)
        assert (await found.standing()).charge == A
        entry = await found.draft(A, B, "十点前回访王家坞")
        assert (entry.alerts, entry.outgoing, entry.incoming) == (ALERTS, A, B)
        assert [each.overdue for each in entry.alerts if each.overdue] == [("contacted",)]

        await found.sign(entry, A)
        offered = await found.standing()
        assert (offered.charge, offered.is_unhanded) == (A, True)
        assert await found.draft(B) == entry
        line = await found.sign(entry, B)

        after = await found.standing()
        assert (after.charge, after.is_unhanded, found.now_on()) == (B, False, (B,))
        assert found.alerts == list(ALERTS)  # a change of shift touches no alert, and no lease
        read = decode(DutyLine, encode(line))
        assert book.verify_hand_over(read) == entry
        log = [decode_leaf(leaf) for leaf in load_entries(found.node.database, 0, found.node.sequencer.head.size)]
        subjects = [leaf.subject for leaf in log if leaf.kind is LeafKind.DUTY]
        page = await duty.read_roster(found.errand(), wire.RosterQuery(desk=TOWN))
        assert [each.digest for each in reversed(page.lines)] == subjects
        assert book.digest_of(read) == subjects[-1] == log[page.lines[0].leaf].subject
        for newer, older in zip(page.lines, page.lines[1:], strict=False):
            assert newer.line.before == older.digest
        for each in line.signed:
            own = OfficerKey(
                agency=OFFICE, officer=each.officer, version=each.version, standing=KeyStanding.REGISTERED, key=each.key
            )
            assert find_leaf(found.node.database, LeafKind.OFFICER_KEY, book.digest_of(own)) is not None


async def test_hand_over_that_was_changed_or_signed_by_one_proves_nothing(tmp_path: Path, monkeypatch) -> None:
    """Another list, another order of names, one signature twice: refused by who verifies."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        await found.on(B)
        entry = await found.draft(A, B)
        offered = await found.sign(entry, A)
        line = await found.sign(entry, B)
        first, second = line.signed
        for forged in (
            offered,
            replace(line, hand_over=replace(entry, alerts=ALERTS)),
            replace(line, signed=(second, first)),
            replace(line, signed=(first, replace(first, officer=B))),
            replace(line, signed=(first, replace(second, signature=first.signature))),
        ):
            with pytest.raises(UntrustedError, match="HAND_OVER_UNSIGNED"):
                book.verify_hand_over(forged)


async def test_two_who_sign_on_at_once_stand_in_two_rows(tmp_path: Path, monkeypatch) -> None:
    """One after the other, in one group of the writer: one answers for the desk, and the second row cites the first."""
    async with shift(tmp_path, monkeypatch) as found:
        first, second = sorted(await asyncio.gather(found.on(A), found.on(B)), key=lambda line: line.number)
        assert (second.number, second.before, second.charge) == (2, book.digest_of(first), first.officer)
        assert set(found.now_on()) == {A, B}


async def test_shift_that_is_not_handed_over_stays_with_who_left(tmp_path: Path, monkeypatch) -> None:
    """Who leaves without an entry answers still and the board says so; from home they can still hand over."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        line = await found.off(A)
        assert (line.charge, found.now_on()) == (A, ())
        await found.on(B)
        standing = await found.standing()
        assert (standing.charge, standing.is_unhanded, found.now_on()) == (A, True, (B,))
        entry = await found.draft(A, B)
        await found.sign(entry, A)
        await found.sign(entry, B)
        assert (await found.standing()).is_unhanded is False


async def test_offer_is_taken_by_its_own_officer_in_its_time(tmp_path: Path, monkeypatch) -> None:
    """Not by who is not signed on, nobody else, not after half an hour, not when another entry is meant."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        entry = await found.draft(A, B)
        await found.sign(entry, A)
        with pytest.raises(RuleError, match="DUTY_NOT_ON"):
            await found.sign(entry, B)
        await found.on(B)
        with pytest.raises(RuleError, match="HAND_OVER_OTHER"):
            await found.sign(replace(entry, incoming="town-3"), B)
        with pytest.raises(RuleError, match="HAND_OVER_NONE"):
            await found.sign(replace(entry, promises=("另一件",)), B)
        with pytest.raises(UntrustedError, match="OFFICER_KEY"):
            await found.sign(entry, B, by=A)
        found.rig.clock.advance(minutes=31)
        with pytest.raises(RuleError, match="HAND_OVER_NONE"):
            await found.sign(entry, B)
        assert (await found.standing()).charge == A


async def test_entry_says_what_is_open_when_it_is_offered(tmp_path: Path, monkeypatch) -> None:
    """A list that leaves an alert out, or follows an older row, is not offered; nor is one of who is not in charge."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        await found.on(B)
        entry = await found.draft(A, B)
        found.alerts.append(ALERTS[0])
        with pytest.raises(RuleError, match="HAND_OVER_CHANGED"):
            await found.sign(entry, A)
        older = replace(await found.draft(A, B), before="ab" * 32)
        with pytest.raises(RuleError, match="HAND_OVER_CHANGED"):
            await found.sign(older, A)
        with pytest.raises(RuleError, match="HAND_OVER_SELF"):
            await found.sign(replace(await found.draft(A, B), outgoing=B, incoming=A), B)
        with pytest.raises(RuleError, match="HAND_OVER_SELF"):
            await found.draft(A, A)
        with pytest.raises(RuleError, match="HAND_OVER_NAMES_PERSON"):
            await found.draft(A, B, "给13800138000回电")


async def test_desk_of_many_alerts_names_some_and_counts_the_others(tmp_path: Path, monkeypatch) -> None:
    """What somebody else can make grow has a limit, and the hand-over is not stopped by it."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        found.alerts += [ALERTS[0]] * 203
        entry = await found.draft(A, B)
        assert (len(entry.alerts), entry.more) == (200, 3)
        assert (await found.sign(entry, A)).hand_over == entry


@pytest.mark.attack("one person hands a shift over to herself", held_by="two names with one key are one person")
async def test_one_person_under_two_names_hands_nothing_over(tmp_path: Path, monkeypatch) -> None:
    """Two officers sign, and a key is a person."""
    async with shift(tmp_path, monkeypatch) as found:
        await register_key(found.node, OFFICE, "town-9", key=format_public_key(KEYS[A].public_key))
        await found.on(A)
        await found.on("town-9")
        entry = await found.draft(A, "town-9")
        with pytest.raises(RuleError, match="SAME_PERSON"):
            await found.sign(entry, A)


async def test_who_lost_their_key_is_relieved_by_one_signature(tmp_path: Path, monkeypatch) -> None:
    """The entry then has one signature and says so by it; while the key counts, nobody takes over alone."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        await found.on(B)
        with pytest.raises(RuleError, match="HAND_OVER_NONE"):
            await found.draft(B)
        await found.withdraw(A)
        assert found.now_on() == (B,)
        line = await found.sign(await found.draft(B), B)
        assert (line.act, line.charge, [each.officer for each in line.signed]) == (DutyAct.TAKE_OVER, B, [B])
        with pytest.raises(UntrustedError, match="HAND_OVER_UNSIGNED"):
            book.verify_hand_over(line)


async def test_roster_tells_who_was_on_at_a_moment(tmp_path: Path, monkeypatch) -> None:
    """By the row that stood then; a sign-on of a day before counts no more, and a repeat is one row."""
    async with shift(tmp_path, monkeypatch) as found:
        source, begin = found.node.database, found.rig.clock()
        request = "0b0e7ad6-0000-4000-8000-000000000001"
        errand = found.errand(request_id=request)
        first = await duty.sign_on(errand, wire.SigningOn(desk=TOWN))
        assert await duty.sign_on(found.errand(request_id=request), wire.SigningOn(desk=TOWN)) == first
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await duty.sign_off(found.errand(request_id=request), TOWN)
        found.rig.clock.advance(hours=8)
        await found.on(B)
        await found.off(A)
        later = found.rig.clock()

        assert found.now_on() == (B,)
        assert duty.signed_on(source, TOWN, later + timedelta(hours=24)) == ()
        assert duty.signed_on(source, "361123.governance", later) == ()
        before = await found.standing(at=begin - timedelta(seconds=1))
        assert (before.on, before.manned, before.charge) == ((), 0, "")
        assert [each.officer for each in (await found.standing(at=begin)).on] == [A]
        with pytest.raises(RuleError, match="DUTY_ON_ALREADY"):
            await found.on(B)
        with pytest.raises(RuleError, match="DUTY_NOT_ON"):
            await found.off(A)


async def test_desk_that_closes_with_nothing_open_is_left_without_an_entry(tmp_path: Path, monkeypatch) -> None:
    """After its hours and with nothing open nobody need take over; with an alert open, somebody must."""
    async with shift(tmp_path, monkeypatch) as found:
        found.rig.clock.advance(hours=4)  # 20:00 in China
        await found.on(A)
        found.rig.clock.advance(hours=2)
        found.alerts.append(ALERTS[0])
        assert (await found.off(A)).charge == A
        await found.on(A)
        found.alerts.clear()
        assert (await found.off(A)).charge == ""
        assert (await found.standing()).is_unhanded is False


async def test_crew_of_a_mobile_unit_signs_on_with_its_base_and_leaves_the_desk_unmanned(
    tmp_path: Path, monkeypatch
) -> None:
    """Its roles are those of the sheet; who drives out answers for no desk, and the ladder passes it over."""
    async with shift(tmp_path, monkeypatch) as found:
        line = await found.on(A, unit=WAGON, crew=("民警", "调解员"))
        assert (line.on[0].unit, line.on[0].crew, line.charge, found.now_on()) == (WAGON, ("民警", "调解员"), "", ())
        with pytest.raises(RuleError, match="DUTY_CREW"):
            await found.on(B, unit=WAGON, crew=("飞行员",))
        with pytest.raises(RuleError, match="DUTY_CREW"):
            await found.on(B, crew=("民警",))
        with pytest.raises(NotFoundError, match="DUTY_UNIT"):
            await found.on(B, unit="330803.wagon.1")
        assert (await found.on(B)).charge == B


async def test_only_the_own_office_acts_and_names_are_for_who_may_read(tmp_path: Path, monkeypatch) -> None:
    """Another office's no is logged; the leader's office reads; the tables tell others how many are on, not who."""
    async with shift(tmp_path, monkeypatch) as found:
        await found.on(A)
        for caller in (CENTRE, POLICE):
            outcome = await duty.sign_on(found.errand(caller=caller), wire.SigningOn(desk=TOWN))
            assert (outcome.decision.policies, outcome.line) == (("default-deny",), None)
        last = decode_leaf(list(load_entries(found.node.database, 0, found.node.sequencer.head.size))[-1])
        assert last.kind is LeafKind.REFUSED
        assert (await found.standing(CENTRE)).charge == A
        page = await duty.read_roster(found.errand(caller=POLICE), wire.RosterQuery(desk=TOWN))
        assert (page.decision.allowed, page.standing, page.lines) == (False, None, ())

        tables = {caller: await duty.show(found.errand(caller=caller), "330822") for caller in (OFFICE, POLICE)}
        for caller, names in ((OFFICE, [A]), (POLICE, [])):
            (mine,) = [each for each in tables[caller].desks if each.desk.id == TOWN]
            assert (mine.manned, [each.officer for each in mine.on], mine.is_open) == (1, names, True)
        table = tables[POLICE]
        assert table.neighbours == ("361123",)
        assert [area.type for area in table.areas if area.id == "pair.qiuchuan-shuangming"] == ["pair"]
        assert [unit.id for unit in table.units] == [WAGON]
        across = await duty.show(found.errand(), "361123")
        assert {(each.is_here, each.manned) for each in across.desks} == {(False, 0)}
        with pytest.raises(NotFoundError, match="DUTY_COUNTY"):
            await duty.show(found.errand(), "110101")
        with pytest.raises(NotFoundError, match="DUTY_DESK"):
            await found.on(desk="330822.nobody")


# ---- volunteers


async def enrol(found: Shift, consent: str = "ab" * 32) -> str:
    question = wire.Enrolment(group=GUARDS, consent=consent)
    outcome = await duty_volunteers.enrol(found.errand(caller=FORESTRY), question)
    assert outcome.volunteer is not None, outcome.decision
    return outcome.volunteer.name


def patrol(*names: str, **changes) -> wire.PatrolReport:
    told = wire.PatrolReport(group=GUARDS, day=date(2026, 11, 23), area=TRIPOINT, volunteers=names, found=2, fixed=1)
    return replace(told, **changes)


async def test_patrols_are_counted_by_day_and_area(tmp_path: Path, monkeypatch) -> None:
    """The roster of the last day, patrols, problems found and mended; what was told once is told once, with its leaf."""
    async with shift(tmp_path, monkeypatch) as found:
        one, other = await enrol(found), await enrol(found, "cd" * 32)
        found.rig.clock.advance(days=1)
        request = "0b0e7ad6-0000-4000-8000-000000000002"
        for _ in range(2):
            told = await duty_volunteers.report_patrol(
                found.errand(caller=FORESTRY, request_id=request), patrol(one, other, day=date(2026, 11, 24))
            )
        assert told.patrol is not None
        assert find_leaf(found.node.database, LeafKind.DUTY, book.digest_of(told.patrol)) is not None
        await duty_volunteers.report_patrol(
            found.errand(caller=FORESTRY), patrol(one, found=0, fixed=1, day=date(2026, 11, 23))
        )
        query = wire.PatrolQuery(group=GUARDS, first_day=date(2026, 11, 23), last_day=date(2026, 11, 24))
        page = await duty_volunteers.list_patrols(found.errand(caller=FORESTRY), query)
        assert page.activity == Activity(roster=2, patrols=2, found=2, fixed=2)
        assert [each.day.day for each in page.lines] == [23, 24]
        await duty_volunteers.withdraw(found.errand(caller=FORESTRY), other)
        page = await duty_volunteers.list_patrols(
            found.errand(caller=FORESTRY), replace(query, first_day=date(2026, 11, 24))
        )
        assert page.activity == Activity(roster=1, patrols=1, found=2, fixed=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"area": "29.12345,118.41234"}, "PATROL_AREA"),
        ({"area": "330824104201"}, "PATROL_AREA"),
        ({"area": "pair.qiuchuan-shuangming"}, "PATROL_AREA"),
        ({"day": date(2026, 11, 24)}, "PATROL_DAY"),
        ({"fixed": 3}, "PATROL_FIXED"),
        ({"volunteers": ("v-nobody",)}, "VOLUNTEER_UNKNOWN"),
    ],
)
async def test_patrol_tells_no_point_and_no_more_than_there_was(tmp_path: Path, monkeypatch, changes, reason) -> None:
    """Coordinates, a village and another county's area are no area; the future, strangers and too many are refused."""
    async with shift(tmp_path, monkeypatch) as found:
        name = await enrol(found)
        with pytest.raises(RuleError, match=reason):
            await duty_volunteers.report_patrol(found.errand(caller=FORESTRY), patrol(name, **changes))
        assert list(duty_volunteers.PATROLS.each(found.node.database)) == []


async def test_volunteer_is_their_own_countys_and_never_on_duty(tmp_path: Path, monkeypatch) -> None:
    """Another county is not told that the group is there; who withdrew walks no more; none signs on to a desk."""
    async with shift(tmp_path, monkeypatch) as found:
        name = await enrol(found)
        assert name.startswith("v-")
        with pytest.raises(NotFoundError, match="VOLUNTEER_GROUP"):
            await duty_volunteers.enrol(found.errand(), wire.Enrolment(group=GUARDS, consent="ab" * 32))
        with pytest.raises(NotFoundError, match="VOLUNTEER_UNKNOWN"):
            await duty_volunteers.withdraw(found.errand(), name)
        left = await duty_volunteers.withdraw(found.errand(caller=FORESTRY), name)
        assert left.volunteer is not None
        assert left.volunteer.left == date(2026, 11, 23)
        with pytest.raises(RuleError, match="VOLUNTEER_LEFT"):
            await duty_volunteers.withdraw(found.errand(caller=FORESTRY), name)
        with pytest.raises(RuleError, match="VOLUNTEER_UNKNOWN"):
            await duty_volunteers.report_patrol(found.errand(caller=FORESTRY), patrol(name))
        with pytest.raises(RuleError, match="DUTY_VOLUNTEER"):
            await found.on(name)
