"""A log that was retired and begun anew: what it lost is told and passes; what the restart does not explain is an error."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.audit.report import Code
from federation.audit.run import Options
from federation.protocol.form import replace
from tests.audit.border_day import codes, errors, run
from tests.audit.provinces import FUJIAN, JIANGXI, ZHEJIANG, Provinces

AFTER = 1_000_006
"""The number of the first message that Zhejiang sends after its restart."""
TOLD = {Code.LOG_RESTARTED, Code.LOST_WITH_RESTART}


def a_restart(*, signed: int | None = None) -> Provinces:
    """Zhejiang loses two messages each way, which Jiangxi has, and goes on."""
    provinces = Provinces(ZHEJIANG, JIANGXI, FUJIAN)
    for _ in range(3):
        provinces.exchange(ZHEJIANG, JIANGXI)
        provinces.exchange(JIANGXI, ZHEJIANG)
    provinces.cosign_all()
    kept = len(provinces[ZHEJIANG].entries)
    for _ in range(2):
        provinces.exchange(ZHEJIANG, JIANGXI)
        provinces.exchange(JIANGXI, ZHEJIANG)
    provinces.cosign_all()
    provinces.restart(ZHEJIANG, kept, signed=signed)
    provinces.decide(provinces.send(ZHEJIANG, JIANGXI, seq=AFTER))
    provinces.exchange(JIANGXI, ZHEJIANG)
    provinces.cosign_all()
    return provinces


def error_codes(provinces: Provinces, **options) -> set[Code]:
    return {each.code for each in errors(run(provinces, **options))}


@pytest.mark.parametrize("listed", [True, False])
def test_restart_as_agreed_is_told_with_the_numbers_of_both_sides_and_passes(listed: bool) -> None:
    """Nothing is contradicted: three of four signed where the log ended."""
    report = run(a_restart(), listed=listed).report

    assert report.passed, report.findings
    assert {finding.code for finding in report.findings} == TOLD
    told = [finding.sentence for finding in report.findings]
    assert any("4 entries that it had signed are lost" in sentence for sentence in told)
    lost = "lost with the restart of zhejiang: 2 messages; the log of"
    assert f"zhejiang>jiangxi: {lost} zhejiang has 4, that of jiangxi 6" in told
    assert f"jiangxi>zhejiang: {lost} jiangxi has 6, that of zhejiang 4" in told


def test_restart_of_an_idle_log_is_told_alone() -> None:
    """No message was lost, and none is sent since."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    provinces.restart(ZHEJIANG, len(provinces[ZHEJIANG].entries))
    provinces.cosign_all()

    assert codes(run(provinces)) - {Code.COSIGNED_BY_FEW} == {Code.LOG_RESTARTED}


@pytest.mark.attack("a restart that says less than was signed", held_by="the heads that others remember (audit/run)")
def test_restart_that_hides_entries_which_others_remember_is_an_error() -> None:
    """A witness cosigned, and receipts show, more than the log is said to have had when it was retired."""
    provinces = a_restart(signed=8)
    of_witness = [each for each in errors(run(provinces, listed=False)) if each.code is Code.LOG_ROLLED_BACK]
    assert [each.node for each in of_witness] == [ZHEJIANG, ZHEJIANG]
    assert all("2 entries are hidden" in each.sentence for each in of_witness)

    for province in provinces.nodes.values():
        province.others.clear()
    provinces.cosign_all()
    of_receipts = [each for each in errors(run(provinces)) if each.code is Code.LOG_ROLLED_BACK]
    assert {each.node for each in of_receipts} == {JIANGXI}
    assert all("its receipt shows" in each.sentence for each in of_receipts)


def test_head_that_the_last_audit_remembers_is_compared_too() -> None:
    """An auditor needs no witness to find what it saw itself."""
    provinces = Provinces()
    for _ in range(4):
        provinces.exchange(ZHEJIANG, JIANGXI)
    remembered = {provinces[ZHEJIANG].vkey.name: provinces[ZHEJIANG].note()}
    provinces.restart(ZHEJIANG, 2, signed=3)
    provinces.cosign_all()

    assert Code.LOG_ROLLED_BACK in error_codes(provinces, remembered=remembered)
    assert Code.LOG_ROLLED_BACK not in error_codes(provinces)


def test_restart_from_another_history_is_a_fork() -> None:
    """What the next log goes on from is what the agreement says, and what the old log had signed."""
    provinces = a_restart()
    provinces[ZHEJIANG].retired[0] = replace(provinces[ZHEJIANG].retired[0], root="ab" * 32)
    assert Code.LOG_FORKED in error_codes(provinces)

    provinces = a_restart()
    entries = provinces[ZHEJIANG].entries
    entries[0], entries[1] = entries[1], entries[0]
    provinces.cosign_all()
    assert Code.LOG_FORKED in error_codes(provinces)


def test_restart_must_be_said_by_the_log_and_by_the_agreement() -> None:
    """One without the other explains nothing: the gap stays a gap."""
    provinces = a_restart()
    provinces[ZHEJIANG].retired[0] = replace(provinces[ZHEJIANG].retired[0], size=3)

    assert error_codes(provinces) >= {Code.LEAF_UNLAWFUL, Code.SEQUENCE_GAP}


def test_message_that_was_decided_after_the_restart_was_not_lost_with_it() -> None:
    """A number of the gap that somebody decided later was never sent."""
    provinces = a_restart()
    late = provinces.send(ZHEJIANG, JIANGXI, seq=7)
    del provinces[ZHEJIANG].entries[late.index]
    provinces.time += timedelta(minutes=5)
    provinces.decide(late)
    provinces.cosign_all()

    unsent = [each for each in errors(run(provinces, listed=False)) if each.code is Code.MESSAGE_UNSENT]
    assert [each.sentence.partition(":")[0] for each in unsent] == ["zhejiang>jiangxi 7"]


def test_message_without_a_receipt_was_not_lost_at_the_receiver() -> None:
    """Its sender has it in its queue, and sends it again; what is too old stays a finding."""
    provinces = a_restart()
    lost = next(messages[4] for pair, messages in provinces.messages.items() if pair.sender == JIANGXI)
    lost.receipt = None

    assert Code.MESSAGE_OUTSTANDING in error_codes(provinces, options=Options(in_flight_age=timedelta(0)))
