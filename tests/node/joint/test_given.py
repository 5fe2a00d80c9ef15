"""The person's report names every office that a joint case gave an item about them: at the entry, later, beyond the border."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from federation.domain.case_items import CaseItem
from federation.domain.reports import SubjectReport
from federation.node.disclosures import tell_subject
from federation.node.joint.given import GIVEN
from federation.node.log.check import check_store
from federation.node.retention import purge
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from tests.node.joint.desks import CONTACT, COURT, PEER, PEER_BODY, TOWN, VILLAGE, Desks, desks
from tests.node.rig import JIANGXI, ZHEJIANG

NUMBER, OTHER = "330822219003070018", "361123219003070012"
PARTY = CaseItem(
    kind="party", fields={"side": "A", "name": "林甲", "county": "330822", "last4": "0018", "number": NUMBER}
)
SHORT = frozenset({"party.name", "party.county", "party.last4"})


def told(case: Desks, at: NodeName, number: str = NUMBER) -> SubjectReport:
    return tell_subject(case.rig[at], number, now=case.rig.clock())


def lines(case: Desks) -> set[tuple[AgencyId, str, frozenset[str]]]:
    return {(line.asker, line.step, line.fields) for line in told(case, ZHEJIANG).lines}


async def test_report_names_each_office_of_either_province_with_what_it_was_given_and_when(tmp_path: Path) -> None:
    """Who joined first, who joins a province that has the item, who is handed more later; once each, never the author."""
    async with desks(tmp_path) as case:
        await case.open()
        entry = await case.does(
            TOWN, "add_party", PARTY, CONTACT, party="p1", side="A", role="applicant", county="330822"
        )
        assert lines(case) == set()
        await case.invites(PEER, "peer")
        first = {(PEER, "case.entry", SHORT)}
        assert lines(case) == first
        await case.invites(VILLAGE, "village")
        await case.invites(PEER_BODY, "body")
        village = (VILLAGE, "case.entry", frozenset({f"party.{field}" for field in PARTY.fields}))
        joined = first | {village, (PEER_BODY, "case.entry", SHORT)}
        assert lines(case) == joined
        case.rig.clock.advance(hours=1)
        more = {"about": entry.name, "item": "2", "fields": "phone", "agency": str(PEER)}
        await case.does(TOWN, "disclose_item", **more)
        await case.settled()

        assert lines(case) == joined | {(PEER, "case.disclosure", frozenset({"contact.phone"}))}
        assert len(told(case, ZHEJIANG).lines) == 4
        assert {line.purpose for line in told(case, ZHEJIANG).lines} == {"dispute.mediation"}
        newest = told(case, ZHEJIANG).lines[0]
        assert (newest.asker, newest.time) == (PEER, case.rig.clock())
        assert told(case, JIANGXI).lines == told(case, ZHEJIANG, OTHER).lines == ()
        assert all(line.asker not in (TOWN, COURT) for line in told(case, ZHEJIANG).lines)


async def test_what_is_about_a_party_by_tag_or_named_in_the_head_is_told_and_a_removed_row_is_found(
    tmp_path: Path,
) -> None:
    """A claim of that party later is theirs, too; the rows are checked as all others, and purged after their floor."""
    async with desks(tmp_path) as case:
        await case.open()
        await case.does(TOWN, "add_party", PARTY, party="p1", side="A", role="applicant", county="330822")
        contact = replace(CONTACT, fields={**CONTACT.fields, "tag": "p1"})
        await case.does(TOWN, "add_party", contact, party="p2", side="B", role="respondent", county="361123")
        await case.invites(COURT, "court")

        fields = {field for line in told(case, ZHEJIANG).lines for field in line.fields}
        assert {"contact.phone", "contact.tag", "party.number"} <= fields
        node = case.rig[ZHEJIANG]
        assert check_store(node.database, case.rig.agreement).findings == ()
        case.rig.clock.advance(days=4 * 366)
        await purge(node, before=case.rig.clock() - timedelta(days=3 * 366 + 30))
        assert list(GIVEN.each(node.database)) == []
        assert check_store(node.database, case.rig.agreement).findings == ()


async def test_row_that_was_taken_away_is_found_by_the_check(tmp_path: Path) -> None:
    """Whoever can write to the store cannot make a person's report shorter unseen."""
    async with desks(tmp_path) as case:
        await case.open()
        await case.does(TOWN, "add_party", PARTY, party="p1", side="A", role="applicant", county="330822")
        await case.invites(VILLAGE, "village")
        node = case.rig[ZHEJIANG]
        with node.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM record WHERE kind = 'case-given'")
        assert {finding.kind for finding in check_store(node.database, case.rig.agreement).findings} == {"case-given"}
