"""One audit over whole federations: the clean one passes, what two logs contradict is found, what is down is named."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from federation.audit.report import Code
from federation.audit.run import Audit, Options, audit_federation, load_remembered, save_remembered
from federation.protocol.errors import MalformedError, UnavailableError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import LeafKind, decode_leaf, encode_leaf
from federation.protocol.tlog.tiles import ENTRIES, Tile
from tests.audit.border_day import a_border_day, codes, errors, found, run
from tests.audit.provinces import FUJIAN, JIANGXI, NOW, START, ZHEJIANG, Province, Provinces


def test_audit_of_a_clean_federation_passes_without_any_finding() -> None:
    """What the provinces log in good faith is what the audit demands (DESIGN section 3)."""
    outcome = run(a_border_day())

    assert outcome.report.passed
    assert outcome.report.findings == ()
    lines = {str(line.pair): line for line in outcome.report.pairs}
    assert (lines["zhejiang>jiangxi"].sent, lines["zhejiang>jiangxi"].received) == (5, 5)
    assert lines["zhejiang>jiangxi"].receipts == 5
    assert lines["zhejiang>fujian"].refused == 1
    assert lines["fujian>jiangxi"].expired == 1
    assert lines["fujian>zhejiang"].in_flight == 1
    assert [line.cosigned for line in outcome.report.logs] == [2, 2, 2]
    assert all(line.witnessed_size == line.size for line in outcome.report.logs)


def test_audit_without_listings_passes_on_the_logs_alone() -> None:
    """A stranger without an audit profile can check the logs, not envelopes and receipts."""
    outcome = run(a_border_day(), listed=False)

    assert outcome.report.passed
    assert {line.receipts for line in outcome.report.pairs} == {None}


def test_audit_of_empty_logs_passes() -> None:
    """A federation that has not begun has nothing to contradict."""
    assert run(Provinces()).report.passed


def test_audit_of_a_gap_in_the_numbers_names_the_missing_ones() -> None:
    """The numbers of an ordered pair are contiguous: a message that is not logged leaves a hole."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    provinces.decide(provinces.send(ZHEJIANG, JIANGXI, seq=4))

    outcome = run(provinces)

    gap = next(finding for finding in outcome.report.findings if finding.code is Code.SEQUENCE_GAP)
    assert (gap.node, gap.index) == (ZHEJIANG, 1)
    assert "2 to 3" in gap.sentence


def test_audit_of_a_number_used_twice_finds_it_on_both_sides() -> None:
    """One number stands for one message, for ever."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    provinces.decide(provinces.send(ZHEJIANG, JIANGXI, seq=1))

    outcome = run(provinces)

    assert {(Code.SEQUENCE_REPEATED, ZHEJIANG, 1), (Code.SEQUENCE_REPEATED, JIANGXI, 1)} <= found(outcome)


def test_audit_of_a_receipted_message_that_the_receiver_does_not_have_is_missing() -> None:
    """A receipt means logged: a receiver whose log lacks the leaf is contradicted by its own signature."""
    provinces = Provinces()
    message = provinces.exchange(ZHEJIANG, JIANGXI)
    provinces[JIANGXI].entries.clear()

    outcome = run(provinces)

    assert {Code.MESSAGE_MISSING, Code.LOG_ROLLED_BACK} <= codes(outcome)
    assert message.receipt is not None


def test_audit_of_a_message_that_was_never_sent_is_found() -> None:
    """What the receiver decided stands in the sender's log, or one of the two invented it."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    last = provinces.exchange(ZHEJIANG, JIANGXI)
    del provinces[ZHEJIANG].entries[last.index]

    assert (Code.MESSAGE_UNSENT, JIANGXI, 1) in found(run(provinces, listed=False))


def test_audit_of_a_message_that_arrives_while_heads_are_fetched_is_no_finding() -> None:
    """Only what the first head of a receiver covers must be in the second head of the sender."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    log = provinces[JIANGXI]
    sender_before = list(provinces[ZHEJIANG].entries)
    settled = log.note()
    provinces.exchange(ZHEJIANG, JIANGXI)
    provinces[ZHEJIANG].entries[:] = sender_before
    heads = iter([settled, log.note()])

    async def checkpoint() -> bytes:
        return next(heads)

    log.checkpoint = checkpoint  # type: ignore[method-assign]

    assert run(provinces, listed=False).report.passed


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("commitment", Code.COMMITMENT_DIFFERS),
        ("subject", Code.DIGEST_DIFFERS),
        ("signatures", Code.SIGNATURES_DIFFER),
    ],
)
def test_audit_of_leaves_that_differ_names_the_field(field: str, code: Code) -> None:
    """Both leaves of a number name the same statement, body and signatures."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    entries = provinces[JIANGXI].entries
    entries[0] = encode_leaf(replace(decode_leaf(entries[0]), **{field: "ab" * 32}))

    assert (code, JIANGXI, 0) in found(run(provinces, listed=False))


def test_audit_of_an_unanswered_message_depends_on_its_age() -> None:
    """Young is in flight; older than a statement lives, and neither decided nor expired, is a finding."""
    provinces = Provinces()
    provinces.send(ZHEJIANG, JIANGXI)

    assert run(provinces).report.passed
    outcome = run(provinces, options=Options(in_flight_age=timedelta(minutes=5)))
    assert (Code.MESSAGE_OUTSTANDING, ZHEJIANG, 0) in found(outcome)


def test_audit_of_an_unreachable_node_names_it_and_audits_the_others() -> None:
    """One province that is down hides nothing of the others."""
    provinces = a_border_day()
    provinces[FUJIAN].reachable = False

    outcome = run(provinces)

    assert not outcome.report.passed
    assert dict(outcome.report.unreachable) == {FUJIAN: "connection refused"}
    assert errors(outcome) == []
    assert {line.node for line in outcome.report.logs} == {ZHEJIANG, JIANGXI}


def test_audit_of_a_denied_listing_warns_and_goes_on() -> None:
    """Without envelopes the logs still speak; the report says what was not looked at."""
    provinces = a_border_day()

    async def deny(_query: object) -> None:
        raise UntrustedError("NOT_ALLOWED", "no auditor")

    audit = Audit(agreement=provinces.agreement, sources=provinces.nodes, listers={ZHEJIANG: deny}, now=lambda: NOW)
    outcome = asyncio.run(audit_federation(audit))

    assert outcome.report.passed
    assert codes(outcome) == {Code.LISTING_DENIED}


def test_audit_without_witnesses_warns() -> None:
    """A head that too few saw may have a twin: the report says so, and does not fail for it."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)

    outcome = run(provinces)

    assert outcome.report.passed
    assert codes(outcome) == {Code.COSIGNED_BY_FEW}


def test_audit_with_trees_only_reads_no_leaf() -> None:
    """The quick audit verifies roots and heads, and says nothing about what the leaves hold, whoever may list messages."""
    provinces = a_border_day()
    loaded: list[Tile] = []

    class Counted(Province):
        async def load(self, tile: Tile) -> bytes:
            loaded.append(tile)
            return await super().load(tile)

    for province in provinces.nodes.values():
        province.__class__ = Counted

    outcome = run(provinces, options=Options(leaves=False))

    assert loaded
    assert ENTRIES not in {tile.level for tile in loaded}
    assert outcome.report.passed
    assert codes(outcome) <= {Code.COSIGNED_BY_FEW}
    assert {line.sent for line in outcome.report.pairs} == {0}


def test_progress_is_told_for_each_log() -> None:
    """Whoever waits sees how far it is."""
    provinces = a_border_day()
    told: list[tuple[NodeName, int, int]] = []
    audit = Audit(agreement=provinces.agreement, sources=provinces.nodes, now=lambda: START)

    asyncio.run(audit_federation(audit, on_read=lambda *step: told.append(step)))

    assert [(node, read == size) for node, read, size in told] == [
        (ZHEJIANG, True), (JIANGXI, True), (FUJIAN, True)
    ]  # fmt: skip


def test_kinds_are_counted() -> None:
    """The report counts the leaves of each kind."""
    outcome = run(a_border_day())

    kinds = {line.node: dict(line.kinds) for line in outcome.report.logs}
    assert kinds[FUJIAN] == {LeafKind.EXPIRED: 1, LeafKind.REFUSED: 1, LeafKind.SENT: 2}


def test_remembered_heads_come_back_as_they_were_signed(tmp_path: Path) -> None:
    """The notes are kept verbatim: they are the proof if the log is rewritten later."""
    province = Provinces()[ZHEJIANG]
    notes = {province.vkey.name: province.note()}

    save_remembered(tmp_path / "heads.json", notes)

    assert load_remembered(tmp_path / "heads.json") == notes
    assert [path.name for path in tmp_path.iterdir()] == ["heads.json"]


def test_first_audit_remembers_nothing(tmp_path: Path) -> None:
    """No file is no memory, not an error."""
    assert load_remembered(tmp_path / "heads.json") == {}


@pytest.mark.parametrize("text", ['{"heads":{},"v":2}', '{"heads":{}}', "{", '{"heads":{"x":1},"v":1}'])
def test_damaged_memory_is_refused(tmp_path: Path, text: str) -> None:
    """An auditor who forgot must know it: a rollback would go unseen."""
    path = tmp_path / "heads.json"
    path.write_text(text)

    with pytest.raises(MalformedError):
        load_remembered(path)


def test_memory_that_cannot_be_read_or_written_is_unavailable(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(UnavailableError):
        load_remembered(tmp_path)
    with pytest.raises(UnavailableError):
        save_remembered(tmp_path / "absent" / "heads.json", {})
