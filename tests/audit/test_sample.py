"""A sample of a bundle that nobody chose, the sheet for the paper files, and figures over all that officers had sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from federation.audit.evidence import EvidenceFile, open_evidence
from federation.audit.sample import Checked, PaperFinding, compare, count, count_refusals, draw, each_message
from federation.cli.audit_report import read_sheet, write_sheet
from federation.domain.clock import CALENDAR_FILE
from federation.domain.lookups_case import BREAK_GLASS_PREFIX
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Realm
from federation.protocol.leaf import Leaf, LeafKind, Verdict
from federation.protocol.statement import Statement
from federation.protocol.trust import Agreement
from tests.audit.provinces import FEDERATION, JIANGXI, START, ZHEJIANG, Provinces
from tests.audit.test_evidence import WINDOW, export, with_keys

ROOT = Path(__file__).parents[2]
CASES = ("CS-2126-0001", "", f"{BREAK_GLASS_PREFIX}CS-2126-1", "=CS-2126")


class Offices(Provinces):
    """Provinces whose messages two officers had sent, for two purposes, in cases and without; each tenth by nobody."""

    count = 0

    def statement(self, sender: NodeName, recipient: NodeName, *, seq: int) -> Statement:
        made, self.count = super().statement(sender, recipient, seq=seq), self.count + 1
        officer = None if self.count % 10 == 0 else f"p-{self.count % 2}"
        return replace(
            made, sender=replace(made.sender, officer=officer), case=CASES[self.count % 4] or None,
            purpose=("lookup.identity_check", "lookup.missing_person")[self.count % 3 == 0],
        )  # fmt: skip

    @property
    def agreement(self) -> Agreement:
        calendar = (ROOT / CALENDAR_FILE).read_bytes()
        return replace(super().agreement, files=MappingProxyType({CALENDAR_FILE: calendar}))


def a_day(exchanges: int = 40) -> Offices:
    day = Offices(ZHEJIANG, JIANGXI)
    for _ in range(exchanges):
        day.exchange(ZHEJIANG, JIANGXI)
    for policies in (("deny-case-closed",), ("deny-case-closed",), ("deny-wildcard",)):
        day[ZHEJIANG].append(Leaf(
            federation=FEDERATION, realm=Realm.DEMO, kind=LeafKind.REFUSED, subject=f"{day.count:064x}", verdict=Verdict.REFUSED,
            policies=policies, agreement_version=1, time=day.tick(),
        ))  # fmt: skip
    return with_keys(day)


DAY = a_day()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFile:
    path = tmp_path_factory.mktemp("sample") / "day.zip"
    assert export(DAY, path)[0].passed
    return open_evidence(path)


def test_sample_has_so_many_of_each_office_and_purpose(bundle: EvidenceFile) -> None:
    """Of a purpose with fewer, all; nothing that no officer sent; no message twice."""
    every = list(each_message(bundle, DAY.agreement))
    drawn = draw(bundle, DAY.agreement, of_each=5)

    assert len(every) == 36
    assert Counter((one.agency, one.purpose) for one in drawn) == {
        ("zhejiang/330822/police", "lookup.identity_check"): 5, ("zhejiang/330822/police", "lookup.missing_person"): 5,
    }  # fmt: skip
    assert len({one.digest for one in drawn}) == 10
    assert sorted(one.digest for one in draw(bundle, DAY.agreement, of_each=100)) == sorted(one.digest for one in every)


def test_sample_is_the_same_for_everybody_and_another_once_a_log_has_grown(
    bundle: EvidenceFile, tmp_path: Path
) -> None:
    """It follows from the heads of the logs: exported again it is the same, and one entry later nobody foresaw it."""
    drawn = draw(bundle, DAY.agreement, of_each=5)
    export(DAY, tmp_path / "again.zip")
    assert draw(open_evidence(tmp_path / "again.zip"), DAY.agreement, of_each=5) == drawn

    later = a_day()
    later[JIANGXI].say_key("s-3", at=later.tick())
    later.cosign_all()
    export(later, tmp_path / "later.zip")
    assert draw(open_evidence(tmp_path / "later.zip"), later.agreement, of_each=5) != drawn


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.xlsx"])
def test_sheet_is_filled_in_and_read_back(bundle: EvidenceFile, tmp_path: Path, name: str) -> None:
    """What the logs say stands beside what the paper says; a text that a spreadsheet would compute is inert."""
    drawn = draw(bundle, DAY.agreement, of_each=100)
    write_sheet(tmp_path / name, drawn)
    empty = list(read_sheet(tmp_path / name))
    assert empty == [Checked(digest=one.digest) for one in drawn]
    assert [one.found for one in compare(drawn, empty)] == [None] * len(drawn)
    if name.endswith(".csv"):
        assert ",=" not in (tmp_path / name).read_text(encoding="utf-8")

    filled = [replace(one, found=PaperFinding.DIFFERS, letter="常公协〔2126〕1号", words="无审批") for one in drawn]
    write_sheet(tmp_path / f"filled-{name}", filled)
    assert compare(drawn, read_sheet(tmp_path / f"filled-{name}")) == tuple(filled)


def test_sheet_of_another_sample_or_with_another_word_is_refused(bundle: EvidenceFile, tmp_path: Path) -> None:
    """A row less, one more, a message that was not drawn: nobody leaves out what does not match."""
    drawn = draw(bundle, DAY.agreement, of_each=2)
    for rows in (drawn[1:], draw(bundle, DAY.agreement, of_each=3), (replace(drawn[0], digest="0" * 64), *drawn[1:])):
        with pytest.raises(RuleError, match="SAMPLE_OTHER"):
            compare(drawn, rows)
    write_sheet(tmp_path / "sheet.csv", drawn)
    text = (tmp_path / "sheet.csv").read_text(encoding="utf-8-sig").replace(",,,,", ",maybe,,,")
    (tmp_path / "sheet.csv").write_text(text, encoding="utf-8")
    with pytest.raises(MalformedError, match="SAMPLE_ROW"):
        list(read_sheet(tmp_path / "sheet.csv"))


def test_figures_count_by_officer_and_purpose_what_needs_a_look(bundle: EvidenceFile) -> None:
    """Off hours (the day is of a weekend), without a case, under a broken glass; each message once in each table."""
    every = list(each_message(bundle, DAY.agreement))
    officers, purposes = count(bundle, DAY.agreement)

    assert [one.name for one in officers] == ["zhejiang/330822/police p-0", "zhejiang/330822/police p-1"]
    assert sum(one.messages for one in officers) == sum(one.messages for one in purposes) == len(every)
    assert sum(one.no_case for one in officers) == sum(not one.case_id for one in every) == 10
    assert sum(one.break_glass for one in purposes) == sum(one.case_id.startswith("BREAK") for one in every) > 0
    assert sum(one.off_hours for one in purposes) == sum(one.off_hours for one in every)


def test_refusals_to_own_offices_are_counted_by_the_policy_in_the_window(bundle: EvidenceFile, tmp_path: Path) -> None:
    """A closed case is refused by its policy, and that stands in the log; what lies outside the window is not counted."""
    assert asyncio.run(count_refusals(bundle, DAY.agreement)) == {"deny-case-closed": 2, "deny-wildcard": 1}

    path = tmp_path / "before.zip"
    export(DAY, path, window=replace(WINDOW, end=START + timedelta(seconds=1)))
    assert asyncio.run(count_refusals(open_evidence(path), DAY.agreement)) == {}
