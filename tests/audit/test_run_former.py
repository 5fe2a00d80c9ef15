"""The audit of everything since the first day, once a province was expelled."""

from __future__ import annotations

import pytest

from federation.audit.report import Code
from federation.cli.audit_report import report_lines
from federation.protocol.form import replace
from federation.protocol.leaf import decode_leaf, encode_leaf
from tests.audit.border_day import codes, errors, found, run
from tests.audit.provinces import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, Provinces


@pytest.fixture
def provinces() -> Provinces:
    """Four provinces, one of which is expelled after a day of messages; the others go on."""
    provinces = Provinces(ZHEJIANG, JIANGXI, FUJIAN, ANHUI)
    provinces.exchange(ZHEJIANG, FUJIAN)
    provinces.exchange(FUJIAN, ZHEJIANG)
    provinces.send(ZHEJIANG, FUJIAN)
    provinces.gone = provinces.expel(FUJIAN)  # type: ignore[attr-defined]
    provinces.expire(provinces.messages[next(iter(provinces.messages))][1])
    provinces.exchange(ZHEJIANG, JIANGXI)
    provinces.cosign_all()
    return provinces


def test_audit_after_an_expulsion_passes_and_tells_whose_side_is_not_audited(provinces: Provinces) -> None:
    """What was exchanged with the former member verifies on the other side, envelopes and receipts included."""
    outcome = run(provinces)

    assert outcome.report.passed
    assert found(outcome) == {(Code.FORMER_MEMBER, ZHEJIANG, None)}
    lines = {str(line.pair): line for line in outcome.report.pairs}
    assert (lines["zhejiang>fujian"].sent, lines["zhejiang>fujian"].expired) == (2, 1)
    assert lines["zhejiang>fujian"].receipts == 1
    assert not lines["zhejiang>fujian"].compared
    text = "\n".join(report_lines(outcome.report))
    assert "未审计" in text
    assert "a former member, up to agreement 1" in text


def test_audit_of_who_never_exchanged_with_it_says_nothing(provinces: Provinces) -> None:
    """The warning stands where something could not be compared."""
    assert not any(each.node == JIANGXI for each in run(provinces).report.findings)


def test_message_of_a_former_member_after_its_end_fails_the_audit(provinces: Provinces) -> None:
    """A node that still takes in what an expelled province sends is found, by leaf and by envelope."""
    provinces.nodes[FUJIAN] = provinces.gone  # type: ignore[attr-defined]
    provinces.exchange(FUJIAN, ZHEJIANG)
    del provinces.nodes[FUJIAN]

    outcome = run(provinces)

    last = len(provinces[ZHEJIANG].entries) - 1
    assert not outcome.report.passed
    assert {(Code.LEAF_UNLAWFUL, ZHEJIANG, last), (Code.ENVELOPE_INVALID, ZHEJIANG, last)} <= found(outcome)


def test_forged_message_of_a_former_member_fails_the_audit(provinces: Provinces) -> None:
    """The envelopes of a former member are verified under its keys of that time, as those of any member."""
    message = provinces.messages[next(pair for pair in provinces.messages if pair.sender == FUJIAN)][0]
    message.envelope = provinces.messages[next(iter(provinces.messages))][0].envelope

    assert Code.ENVELOPE_INVALID in codes(run(provinces))


def test_receipt_of_a_former_member_is_verified_under_its_log(provinces: Provinces) -> None:
    """What it said that it received, it said under the key of its own log."""
    message = provinces.messages[next(iter(provinces.messages))][0]
    assert message.receipt is not None
    leaf = encode_leaf(replace(decode_leaf(message.receipt.leaf), seq=9))
    message.receipt = replace(message.receipt, leaf=leaf)

    assert [each.code for each in errors(run(provinces))] == [Code.RECEIPT_INVALID]
