"""A member that looks up one number after the other: names cannot be counted up, and the owner counts what it answers.

Jiangxi skips every check of its own side: as many officers and cases as it likes, each search signed by its own key and
handed to Zhejiang over its own connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

from federation.domain.lookups import SEARCH_BODY, SearchItem, Selector, SelectorKind
from federation.domain.lookups_case import LookupCase
from federation.domain.permits import PermitUrn
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.lookups import records
from federation.protocol.errors import UnavailableError
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, format_message_id, parse_agency_id
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from tests.node.rig import (
    HALL,
    JIANGXI,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    applications,
    kit,
    one_item_body,
    running_rig,
    sign,
    statement,
)

PURPOSE = "lookup.criminal_investigation"
WUYUAN = parse_agency_id("jiangxi/361130/police")
NUMBERS = [each.holder.citizen_number for each in applications()[:40]]
SEQS = count(1)


class Member:
    """Jiangxi, which asks Zhejiang whatever it likes."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def open_case(self, case_id: str, office: AgencyId = YUSHAN_POLICE) -> None:
        """A case that Zhejiang was told of."""
        now = self.rig.clock()
        case = LookupCase(
            case_id=case_id, opened_by=office, letter="玉公协〔2026〕1号", counties=frozenset({"330822", office.county}),
            purposes=frozenset({PURPOSE}), opens=now, closes=now + timedelta(days=30), closed=False, leader="leader-1",
            version=1,
        )  # fmt: skip
        node = self.rig[ZHEJIANG]
        await node.sequencer.commit(lambda tx: records.ANNOUNCED_CASES.put(tx, case, owner=JIANGXI))

    def search(self, value: str, case_id: str, *, office: AgencyId = YUSHAN_POLICE) -> Submission:
        kind = SelectorKind.PERMIT if value.startswith("urn:") else SelectorKind.CITIZEN_NUMBER
        item = SearchItem(
            lookup_id=format_message_id(self.rig.clock(), os.urandom(10)),
            selector=Selector(kind=kind, value=value),
            case_id=case_id,
        )
        body, seq = one_item_body(SEARCH_BODY, encode(item)), next(SEQS)
        made = statement(
            self.rig, body, seq=seq, kind="lookup.search", purpose=PURPOSE, function="F03", case=case_id,
            sender=Sender(node=JIANGXI, agency=office, officer=f"officer-{seq}"), recipient=Recipient(node=ZHEJIANG),
        )  # fmt: skip
        return Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), body=body)

    async def ask(self, sent: Submission) -> Sequence[str]:
        """The rule that refused it; nothing when it was answered."""
        leaf = decode_leaf((await receive(self.rig[ZHEJIANG], sent, peer=JIANGXI)).leaf)
        return leaf.policies if leaf.verdict is Verdict.REFUSED else ()


@asynccontextmanager
async def member(folder: Path, **settings: int) -> AsyncIterator[Member]:
    async with running_rig(folder, **settings) as rig:
        found = Member(rig)
        await found.open_case("CASE-0001")
        await found.open_case("CASE-0002")
        await found.open_case("CASE-0003", WUYUAN)
        yield found


async def test_name_of_a_permit_leads_to_no_other(tmp_path: Path) -> None:
    """Names of the federation's own making are drawn, not counted: neighbours of one that is known are nobody's."""
    async with running_rig(tmp_path) as rig:
        urns = []
        for application in applications()[:20]:
            hall = AgencyId(ZHEJIANG, application.residence_division, HALL.kind)
            answer = await permits.register(begin_errand(rig[ZHEJIANG], hall, act()), application)
            urns += [answer.permit.urn] if answer.permit is not None else []
        serials = [urn.rpartition(":")[2] for urn in urns]
        assert len(set(serials)) == len(serials) > 10
        assert all(len(serial) == 10 for serial in serials)
        assert len({serial[:3] for serial in serials}) > len(serials) // 2
        assert not any(urn[:-1] + "0" in urns for urn in urns if not urn.endswith("0"))


async def test_serial_numbers_are_answered_so_often_and_no_more(tmp_path: Path) -> None:
    """A printed card's number may be a serial one: by other officers and in other cases the count goes on; it holds."""
    async with member(tmp_path, answers_by_number_per_office_day=3) as found:
        names = [PermitUrn(f"urn:permit:330822:2025:{number:06d}") for number in range(1, 7)]
        came = [await found.ask(found.search(name, f"CASE-000{1 + at % 2}")) for at, name in enumerate(names)]
        assert came == [()] * 3 + [("rule-quota-numbers-answered",)] * 3

        assert await found.ask(found.search(NUMBERS[0], "CASE-0001")) == ()  # one that cannot be counted up
        assert await found.ask(found.search(names[0], "CASE-0003", office=WUYUAN)) == ()  # another office
        found.rig.clock.advance(days=1)
        assert await found.ask(found.search(names[4], "CASE-0001")) == ()


async def test_office_and_case_are_answered_so_often_and_no_more(tmp_path: Path, monkeypatch) -> None:
    """Whatever the asking side counts, the owner has counts of its own: of the office's day, and of the case for ever."""
    monkeypatch.setattr(records, "QUOTAS", records.Quotas(per_case_bulk=4))
    async with member(tmp_path, answers_per_office_day=6) as found:
        came = [await found.ask(found.search(number, "CASE-0001")) for number in NUMBERS[:5]]
        assert came == [()] * 4 + [("rule-quota-case-answered",)]
        came = [await found.ask(found.search(number, "CASE-0002")) for number in NUMBERS[:3]]
        assert came == [()] * 2 + [("rule-quota-office-answered",)]

        found.rig.clock.advance(days=1)
        assert await found.ask(found.search(NUMBERS[8], "CASE-0001")) == ("rule-quota-case-answered",)
        assert await found.ask(found.search(NUMBERS[8], "CASE-0002")) == ()


async def test_searches_at_one_moment_do_not_pass_the_count_together(tmp_path: Path) -> None:
    """All were judged before any was counted: what would pass the limit is sent again, and refused then."""
    async with member(tmp_path, answers_per_office_day=3) as found:
        sent = [found.search(number, "CASE-0001") for number in NUMBERS[:8]]
        came = await asyncio.gather(*map(found.ask, sent), return_exceptions=True)

        assert came.count(()) == 3
        again = [each for each, told in zip(sent, came, strict=True) if isinstance(told, UnavailableError)]
        assert [await found.ask(each) for each in again] == [("rule-quota-office-answered",)] * len(again)


async def test_repeat_of_a_search_is_counted_once(tmp_path: Path) -> None:
    """The same bytes get the same receipt, at the limit too."""
    async with member(tmp_path, answers_per_office_day=2) as found:
        sent = found.search(NUMBERS[0], "CASE-0001")
        assert [await found.ask(sent) for _ in range(4)] == [()] * 4
        assert await found.ask(found.search(NUMBERS[1], "CASE-0001")) == ()
        assert await found.ask(found.search(NUMBERS[2], "CASE-0001")) == ("rule-quota-office-answered",)
        assert await found.ask(sent) == ()
