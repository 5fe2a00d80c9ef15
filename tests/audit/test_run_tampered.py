"""One audit over whole federations: whatever is done to one log, its entries, heads or tiles, is found and named."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.audit.report import Code
from federation.audit.run import Options
from federation.protocol.form import replace
from federation.protocol.leaf import decode_leaf, encode_leaf
from federation.protocol.tlog.tiles import ENTRIES, Tile, encode_bundle
from tests.audit.border_day import a_border_day, codes, errors, found, run
from tests.audit.provinces import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, Province, Provinces


def test_audit_of_a_deleted_leaf_names_the_log_and_the_entry() -> None:
    """A leaf taken out of the served log, the tiles left as they were, shows at the first entry that moved."""
    provinces = a_border_day()
    log = provinces[JIANGXI]
    kept = [entry for at, entry in enumerate(log.entries) if at != 4]
    log.tampered[str(Tile(ENTRIES, 0, len(log.entries)))] = encode_bundle([*kept, kept[-1]])

    outcome = run(provinces)

    assert not outcome.report.passed
    assert (Code.ROOT_DIFFERS, JIANGXI, None) in found(outcome)
    assert (Code.ENTRY_DIFFERS, JIANGXI, 4) in found(outcome)
    assert outcome.report.findings[0].index == 4


def test_audit_of_a_deleted_leaf_under_a_new_head_is_found_by_receipts_and_numbers() -> None:
    """A log that is rewritten without one leaf cannot take back the heads that its receipts carry."""
    provinces = a_border_day()
    message = provinces.messages[next(iter(provinces.messages))][1]
    del provinces[JIANGXI].entries[message.received_index]
    provinces[ZHEJIANG].others.clear()
    provinces[FUJIAN].others.clear()

    outcome = run(provinces)

    assert {Code.LOG_FORKED, Code.MESSAGE_MISSING} <= codes(outcome)
    missing = [finding for finding in outcome.report.findings if finding.code is Code.MESSAGE_MISSING]
    assert [finding.node for finding in missing] == [JIANGXI]
    assert "zhejiang>jiangxi 2" in missing[0].sentence


def test_audit_of_reordered_sent_leaves_finds_the_numbers_out_of_order() -> None:
    """The sender numbers in the order in which it logs: two leaves that changed places break it."""
    provinces = Provinces()
    for _ in range(4):
        provinces.exchange(ZHEJIANG, JIANGXI)
    entries = provinces[ZHEJIANG].entries
    entries[1], entries[2] = entries[2], entries[1]

    outcome = run(provinces, listed=False)

    assert {(Code.SEQUENCE_GAP, ZHEJIANG, 1), (Code.SEQUENCE_REPEATED, ZHEJIANG, 2)} <= found(outcome)


def test_audit_of_a_flipped_bit_in_a_bundle_names_the_entry() -> None:
    """One bit between signing and serving: the entry is named by its index, and the tiles say who is right."""
    provinces = a_border_day()
    log = provinces[ZHEJIANG]
    blob = bytearray(encode_bundle(log.entries))
    at = sum(len(entry) + 2 for entry in log.entries[:3]) + 2 + log.entries[3].index(b'"subject":"') + 11
    blob[at] ^= 1
    log.tampered[str(Tile(ENTRIES, 0, len(log.entries)))] = bytes(blob)

    outcome = run(provinces, listed=False)

    assert (Code.ENTRY_DIFFERS, ZHEJIANG, 3) in found(outcome)
    root = next(finding for finding in outcome.report.findings if finding.code is Code.ROOT_DIFFERS)
    assert "its tiles agree with the checkpoint" in root.sentence


def test_audit_of_a_bundle_cut_short_says_where_the_log_ends() -> None:
    """A bundle that is no bundle ends the reading of that log; nothing is called missing for it."""
    provinces = a_border_day()
    log = provinces[ZHEJIANG]
    log.tampered[str(Tile(ENTRIES, 0, len(log.entries)))] = encode_bundle(log.entries)[:-1]

    outcome = run(provinces)

    assert (Code.BUNDLE_MALFORMED, ZHEJIANG, 0) in found(outcome)
    assert not outcome.report.passed
    assert Code.MESSAGE_UNSENT not in codes(outcome)


def test_audit_of_a_head_without_its_entries_says_from_where_they_are_missing() -> None:
    """A log that signs a head must serve its entries; narrower bundles tell which is the first that it has not."""
    provinces = a_border_day()
    log = provinces[ZHEJIANG]
    for first in (0, 1, 4, len(log.entries) - 1):
        for width in range(first + 1, len(log.entries) + 1):
            log.tampered[str(Tile(ENTRIES, 0, width))] = None

        assert (Code.BUNDLE_MISSING, ZHEJIANG, first) in found(run(provinces, listed=False))
        log.tampered.clear()


def test_audit_of_a_forged_checkpoint_refuses_it() -> None:
    """A head that another key signed under the log's name is not that log's head."""
    provinces = a_border_day()
    log = provinces[FUJIAN]
    other = Province(FUJIAN)
    other.log_signer = provinces[ANHUI if ANHUI in provinces.nodes else JIANGXI].log_signer
    log.tampered["checkpoint"] = other.sign(log.head())

    assert (Code.CHECKPOINT_INVALID, FUJIAN, None) in found(run(provinces))


def test_audit_of_a_checkpoint_with_another_origin_refuses_it() -> None:
    """The head of one log is not the head of another, whoever serves it."""
    provinces = a_border_day()
    provinces[FUJIAN].tampered["checkpoint"] = provinces[JIANGXI].note()

    outcome = run(provinces)

    assert (Code.CHECKPOINT_INVALID, FUJIAN, None) in found(outcome)
    assert {line.node for line in outcome.report.logs} == {ZHEJIANG, JIANGXI}


def test_audit_of_a_signed_head_that_is_not_of_the_entries_fails() -> None:
    """The root is computed from all entries, never taken from the head."""
    provinces = a_border_day()
    log = provinces[FUJIAN]
    log.tampered["checkpoint"] = log.sign(replace(log.head(), root=bytes(32)))

    assert (Code.ROOT_DIFFERS, FUJIAN, None) in found(run(provinces))


def test_audit_of_two_heads_of_one_size_finds_the_fork() -> None:
    """A witness was shown one history, the auditor another of the same size: both heads are signed."""
    provinces = a_border_day()
    log = provinces[JIANGXI]
    twin = Province(JIANGXI, entries=[*log.entries[:-1], provinces[ZHEJIANG].entries[-1]])
    provinces[FUJIAN].cosign(twin)

    outcome = run(provinces)

    forks = [finding for finding in outcome.report.findings if finding.code is Code.LOG_FORKED]
    assert [finding.node for finding in forks] == [JIANGXI]
    assert "that fujian cosigned" in forks[0].sentence


def test_audit_of_a_log_rolled_back_behind_the_remembered_head_is_found() -> None:
    """A head that an audit verified once is never forgotten: going back behind it is a broken promise."""
    provinces = a_border_day()
    remembered = run(provinces).remembered
    provinces[FUJIAN].published = 1
    for province in provinces.nodes.values():
        province.others.clear()

    outcome = run(provinces, listed=False, remembered=remembered)

    rolled = next(finding for finding in outcome.report.findings if finding.code is Code.LOG_ROLLED_BACK)
    assert rolled.node == FUJIAN
    assert "that the last audit verified" in rolled.sentence
    assert outcome.remembered[provinces[FUJIAN].vkey.name] == remembered[provinces[FUJIAN].vkey.name]


def test_audit_of_a_log_that_only_grew_moves_the_remembered_head() -> None:
    """A grown log keeps its promise, and the newer head is the one to remember."""
    provinces = a_border_day()
    remembered = run(provinces).remembered
    provinces.exchange(ZHEJIANG, JIANGXI)

    outcome = run(provinces, remembered=remembered)

    assert outcome.report.errors == 0
    assert outcome.remembered[provinces[ZHEJIANG].vkey.name] == provinces[ZHEJIANG].note()


def test_audit_of_a_rewritten_log_is_found_by_the_remembered_head() -> None:
    """Another first entry, everything signed anew: the remembered head does not lie on that tree."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    remembered = run(provinces).remembered
    rewritten = Provinces()
    rewritten.tick()
    rewritten.exchange(ZHEJIANG, JIANGXI)

    outcome = run(rewritten, remembered=remembered)

    assert {finding.node for finding in errors(outcome)} == {ZHEJIANG, JIANGXI}
    assert codes(outcome) >= {Code.LOG_FORKED}


def test_audit_of_a_leaf_with_an_unknown_field_names_the_field() -> None:
    """Leaves are strict: what nobody agreed on could carry anything."""
    provinces = a_border_day()
    log = provinces[FUJIAN]
    log.entries[0] = log.entries[0][:-1] + b',"zz":1}'

    outcome = run(provinces, listed=False)

    leaf = next(finding for finding in outcome.report.findings if finding.code is Code.LEAF_MALFORMED)
    assert (leaf.node, leaf.index) == (FUJIAN, 0)
    assert "'zz'" in leaf.sentence


def test_audit_of_a_tile_that_is_not_of_the_entries_is_found() -> None:
    """The tiles from which others build proofs are the hashes of the very entries."""
    provinces = Provinces()
    for _ in range(260):
        provinces.send(ZHEJIANG, JIANGXI)
    provinces[ZHEJIANG].tampered[str(Tile(1, 0, 1))] = bytes(32)
    provinces[ZHEJIANG].tampered[str(Tile(0, 0))] = None

    outcome = run(provinces, listed=False)

    assert {Code.TILE_DIFFERS, Code.TILE_MISSING} <= codes(outcome)
    assert run(provinces, listed=False, options=Options(tiles=False)).report.passed


CLEAN = a_border_day()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_audit_of_any_single_change_of_the_entries_fails(data: st.DataObject) -> None:
    """Whatever one change is made to the entries of one log, under the head that was signed: the audit fails."""
    log = CLEAN[data.draw(st.sampled_from(sorted(CLEAN.nodes)))]
    before = list(log.entries)
    at = data.draw(st.integers(0, len(before) - 1))
    kind = data.draw(st.sampled_from(["flip", "delete", "repeat", "swap", "append"]))
    after = list(before)
    if kind == "flip":
        entry = bytearray(after[at])
        entry[data.draw(st.integers(0, len(entry) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        after[at] = bytes(entry)
    elif kind == "delete":
        del after[at]
    elif kind == "repeat":
        after.insert(at, after[at])
    elif kind == "append":
        after[at] += b" "
    else:
        other = data.draw(st.integers(0, len(before) - 1).filter(lambda index: index != at))
        after[at], after[other] = after[other], after[at]
    bundle = str(Tile(ENTRIES, 0, len(before)))
    log.tampered[bundle] = encode_bundle(after)
    try:
        outcome = run(CLEAN, listed=False)
    finally:
        del log.tampered[bundle]

    assert not outcome.report.passed
    assert {finding.node for finding in errors(outcome)} >= {log.node}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_audit_of_any_single_change_that_the_owner_signs_anew_fails(data: st.DataObject) -> None:
    """The owner may rewrite its log and sign the result: receipts, cosigned heads and the other logs tell."""
    provinces = a_border_day()
    log = provinces[data.draw(st.sampled_from([ZHEJIANG, JIANGXI]))]
    at = data.draw(st.integers(0, len(log.entries) - 2))
    if data.draw(st.booleans()):
        del log.entries[at]
    else:
        leaf = decode_leaf(log.entries[at])
        field = data.draw(st.sampled_from(["subject", "commitment", "signatures"]))
        log.entries[at] = encode_leaf(replace(leaf, **{field: "cd" * 32}))

    outcome = run(provinces)

    assert not outcome.report.passed
    assert Code.LOG_FORKED in codes(outcome) or Code.LOG_ROLLED_BACK in codes(outcome)
