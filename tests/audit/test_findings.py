"""Findings: counted, bounded, and in the order in which one reads them."""

from __future__ import annotations

from federation.audit.findings import MAX_OF_A_CODE, Code, Findings, Severity, in_reading_order
from tests.audit.provinces import JIANGXI, ZHEJIANG


def test_findings_of_one_code_are_bounded_and_counted() -> None:
    """A log that breaks one rule everywhere fills no report."""
    findings = Findings(ZHEJIANG)
    for index in range(MAX_OF_A_CODE + 5):
        findings.add(Code.LEAF_MALFORMED, "no leaf", index=index)

    found = findings.all()

    assert len(found) == MAX_OF_A_CODE + 1
    assert found[-1].sentence == "and 5 more of this kind"


def test_reading_order_has_errors_first_and_the_first_bad_entry_first() -> None:
    """What a human reads first is where the trouble starts."""
    zhejiang, jiangxi = Findings(ZHEJIANG), Findings(JIANGXI)
    zhejiang.add(Code.ROOT_DIFFERS, "root")
    zhejiang.add(Code.LEAF_MALFORMED, "leaf", index=9)
    jiangxi.add(Code.DISCREPANCY_LOGGED, "seen", index=0)
    jiangxi.add(Code.SEQUENCE_GAP, "gap", index=4)

    order = in_reading_order((*zhejiang.all(), *jiangxi.all()))

    assert [finding.sentence for finding in order] == ["gap", "leaf", "root", "seen"]
    assert [finding.severity for finding in order][-1] is Severity.WARNING
