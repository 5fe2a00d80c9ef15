"""The witness's table, row by row (C2SP tlog-witness)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError, StaleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.tlog.merkle import EMPTY_ROOT, consistency_proof
from federation.protocol.tlog.note import (
    Checkpoint,
    KeyKind,
    Note,
    NoteSignature,
    format_checkpoint,
    format_note,
    parse_note,
    sign_checkpoint,
    sign_note_line,
)
from federation.protocol.tlog.witness import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    Cosigner,
    Status,
    WitnessState,
    decide_add_checkpoint,
    format_add_checkpoint,
    monitoring_path,
    parse_add_checkpoint,
    parse_size,
    refuse_malformed,
    verify_answer,
)
from tests.protocol.tlog.golden import (
    CHECKPOINT,
    COSIGN_TIME,
    LOG,
    LOG_KEY,
    ORIGIN,
    PQ_KEY,
    PQ_WITNESS,
    WITNESS,
    WITNESS_KEY,
    ed25519,
    tree,
    vkey,
)

COSIGNERS = (Cosigner(vkey=WITNESS, sign=WITNESS_KEY.sign),)
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)


def note(size, root=None) -> bytes:
    """The golden log's signed head at a size, or a forged root of it."""
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root or tree(33).roots[size])
    return sign_checkpoint(checkpoint, LOG, sign=LOG_KEY.sign)


def request(old_size, size, proof=None, root=None) -> AddCheckpoint:
    """What an honest log sends, with one thing changed."""
    honest = consistency_proof(old_size, size, tree(33).read) if old_size <= size else ()
    return AddCheckpoint(old_size=old_size, proof=honest if proof is None else proof, note=note(size, root))


def state(size) -> WitnessState:
    """What the witness cosigned last."""
    return WitnessState(size=size, root=tree(33).roots[size], cosign_time=COSIGN_TIME)


def decide(asked, last=None, now=COSIGN_TIME, logs=None, cosigners=COSIGNERS):
    """The table with the golden log known."""
    known = {ORIGIN: [LOG]} if logs is None else logs
    return decide_add_checkpoint(asked, logs=known, last=last, now=now, cosigners=cosigners)


def check_refused(answer, status, *, kept=False):
    """A refusal changes nothing, and keeps the checkpoint only where it proves misbehaviour."""
    assert (answer.status, answer.state) == (status, None)
    assert (answer.evidence is not None) is kept


def test_row_1_malformed_body_is_400():
    """What cannot be read is the client's to mend."""
    with pytest.raises(MalformedError) as caught:
        parse_add_checkpoint(b"old 5\n")

    check_refused(refuse_malformed(caught.value), Status.MALFORMED)


def test_row_2_unknown_origin_is_404():
    """A witness cosigns only the logs of its agreement."""
    check_refused(decide(request(0, 7), logs={"other.example": [LOG]}), Status.UNKNOWN_LOG)


def test_row_3_no_line_by_a_trusted_key_is_403():
    """Another key of the same name is not trusted."""
    other = vkey(ORIGIN, KeyKind.ED25519, ed25519("other"))

    check_refused(decide(request(0, 7), logs={ORIGIN: [other]}), Status.NOT_SIGNED)


def test_row_3_trusted_line_that_fails_is_403():
    """Even beside one that verifies."""
    parsed = parse_note(note(7))
    bad = NoteSignature(name=LOG.name, key_id=LOG.key_id, payload=bytes(64))
    blob = format_note(Note(text=parsed.text, signatures=(*parsed.signatures, bad)))

    check_refused(decide(AddCheckpoint(old_size=0, proof=(), note=blob)), Status.NOT_SIGNED)


def test_row_4_old_size_above_the_checkpoint_is_400():
    """Checked before the witness's own size, which it would not tell here."""
    check_refused(decide(request(8, 7), last=state(3)), Status.MALFORMED)


@pytest.mark.parametrize(("old_size", "last"), [(0, 3), (5, 3), (3, None), (0, 7)])
def test_row_5_another_old_size_is_409_with_the_size(old_size, last):
    """The client learns where a proof must start."""
    answer = decide(request(old_size, 7), last=state(last) if last else None)

    check_refused(answer, Status.OTHER_SIZE)
    assert (parse_size(answer.body), answer.content_type) == (last or 0, "text/x.tlog.size")


def test_row_6_empty_tree_with_another_root_is_422():
    """There is one empty tree."""
    answer = decide(request(0, 0, root=bytes(32)))

    check_refused(answer, Status.INCONSISTENT)
    assert b"empty tree" in answer.body


def test_row_7_proof_from_size_0_is_422():
    """From nothing there is nothing to prove."""
    answer = decide(request(0, 7, proof=(bytes(32),)))

    check_refused(answer, Status.INCONSISTENT)
    assert b"no proof from size 0" in answer.body


def test_row_8_same_size_with_another_root_is_422_and_kept():
    """A log-signed fork: never 409, always kept."""
    asked = request(7, 7, root=bytes(32))

    answer = decide(asked, last=state(7))

    check_refused(answer, Status.INCONSISTENT, kept=True)
    assert answer.evidence == asked.note
    assert b"cosigned for this size" in answer.body


@pytest.mark.parametrize("proof", [(), (bytes(32),) * 4])
def test_row_9_proof_that_does_not_verify_is_422_and_no_evidence(proof):
    """Nothing is cosigned that does not extend what was; a proof of anybody's making says nothing of the log."""
    check_refused(decide(request(3, 7, proof=proof), last=state(3)), Status.INCONSISTENT)


def test_row_9_same_size_with_a_proof_is_422():
    """For equal sizes the proof is empty."""
    check_refused(decide(request(7, 7, proof=(bytes(32),)), last=state(7)), Status.INCONSISTENT)


def test_lines_of_strangers_are_kept_nowhere():
    """Whoever posts may add 63 lines: what is kept is the log's verified line and ours, and of a fork the log's."""
    stranger = NoteSignature(name="evil.example", key_id=b"abcd", payload=bytes(64))

    def poisoned(asked):
        parsed = parse_note(asked.note)
        blob = format_note(Note(text=parsed.text, signatures=(*[stranger] * 31, *parsed.signatures, *[stranger] * 31)))
        return AddCheckpoint(old_size=asked.old_size, proof=asked.proof, note=blob)

    cosigned = decide(poisoned(request(3, 7)), last=state(3))
    assert [line.name for line in parse_note(cosigned.note).signatures] == [
        ORIGIN,
        *(key.vkey.name for key in COSIGNERS),
    ]
    forked = decide(poisoned(request(7, 7, root=bytes(32))), last=state(7))
    assert [line.name for line in parse_note(forked.evidence).signatures] == [ORIGIN]


@pytest.mark.parametrize(("old_size", "size"), [(0, 0), (0, 7), (3, 7), (7, 7), (8, 33)])
def test_row_10_consistent_checkpoint_is_cosigned(old_size, size):
    """The answer verifies, the new state is exactly what was signed."""
    asked = request(old_size, size)

    answer = decide(asked, last=state(old_size) if old_size else None)

    assert (answer.status, answer.evidence, answer.state) == (Status.COSIGNED, None, state(size))
    lines = verify_answer(answer.body, format_checkpoint(asked.checkpoint), vkeys=[WITNESS], not_after=COSIGN_TIME)
    assert [line.cosign_time for line in lines] == [COSIGN_TIME]


def test_row_10_golden_request_gives_the_golden_line():
    """The witness's line of the golden checkpoint is what this witness answers."""
    answer = decide(request(0, 7))

    assert note(7) + answer.body == CHECKPOINT


def test_row_10_two_keys_make_two_lines():
    """The post-quantum line goes beside the compatible one."""
    both = (*COSIGNERS, Cosigner(vkey=PQ_WITNESS, sign=PQ_KEY.sign))
    asked = request(0, 7)

    answer = decide(asked, cosigners=both)

    text = format_checkpoint(asked.checkpoint)
    lines = verify_answer(answer.body, text, vkeys=[WITNESS, PQ_WITNESS], not_after=COSIGN_TIME)
    assert len(lines) == 2


def test_clock_behind_the_last_line_is_refused_until_it_has_caught_up():
    """Never a line dated before one's own previous one (ours: 503); the same second is no step back."""
    asked = request(7, 7)

    check_refused(decide(asked, last=state(7), now=COSIGN_TIME - timedelta(milliseconds=1)), Status.NOT_NOW)
    assert decide(asked, last=state(7), now=COSIGN_TIME).status == Status.COSIGNED


def test_decide_without_a_key_is_a_configuration_error():
    """A witness without keys is not configured."""
    with pytest.raises(MalformedError) as caught:
        decide(request(0, 7), cosigners=())

    assert caught.value.reason == "COSIGNERS"


def test_decide_never_goes_back():
    """Whatever is asked, the size in the state never falls."""
    last = None
    for old_size, size in ((0, 3), (0, 7), (3, 7), (3, 5), (7, 5), (7, 8), (5, 8), (8, 8)):
        answer = decide(request(old_size, size), last=last)
        if answer.state:
            assert last is None or answer.state.size >= last.size
            last = answer.state
    assert last is not None
    assert last.size == 8


@given(st.integers(0, 2**63 - 1), HASHES)
def test_add_checkpoint_round_trips(old_size, proof):
    """Every lawful request reads back as itself."""
    asked = AddCheckpoint(old_size=old_size, proof=proof, note=CHECKPOINT)

    assert parse_add_checkpoint(format_add_checkpoint(asked)) == asked


GOOD = format_add_checkpoint(request(3, 7))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n" + GOOD,
        GOOD[:-1],
        GOOD + b"\n",
        GOOD.replace(b"old 3", b"Old 3"),
        GOOD.replace(b"old 3", b"old 03"),
        GOOD.replace(b"old 3", b"old  3"),
        GOOD.replace(b"old 3", b"old -3"),
        GOOD.replace(b"old 3\n", b"old 3\nold 3\n"),
        GOOD.replace(b"old 3\n", b"old 3\r\n"),
        GOOD.replace(b"old 3\n", b"old 3\nAAAA\n"),
        GOOD.replace(b"old 3\n", b"old 3\n\n"),
        GOOD.replace(b"\n7\n", b"\n7\nextension\n"),
        GOOD.replace(b"old 3\n", b"old 3\n" + b"UzBPXj/UvNILOave8v4RgDHMWughe86gCN6n4nhpNIo=\n" * 60),
        GOOD.split(b"\n\n")[0] + b"\n\n",
        b"x" * (MAX_REQUEST_BYTES + 1),
    ],
)
def test_parse_add_checkpoint_other_form_is_refused(body):
    """Nothing missing, nothing twice, nothing behind, every number and base64 canonical."""
    with pytest.raises(MalformedError):
        parse_add_checkpoint(body)


def test_parse_add_checkpoint_63_hashes_are_read():
    """The largest proof that the format allows."""
    body = format_add_checkpoint(AddCheckpoint(old_size=3, proof=(bytes(32),) * 63, note=CHECKPOINT))

    assert len(parse_add_checkpoint(body).proof) == 63


def test_format_add_checkpoint_impossible_value_is_refused():
    """Nothing is written that would not be read."""
    good = request(3, 7)
    text = "no checkpoint\n"
    other = format_note(Note(text=text, signatures=(sign_note_line(text, LOG, sign=LOG_KEY.sign),)))

    for bad in (replace(good, old_size=-1), replace(good, proof=(b"x",)), replace(good, note=other)):
        with pytest.raises(MalformedError):
            format_add_checkpoint(bad)


def test_verify_answer_ignores_strangers_and_refuses_what_fails():
    """A client keeps only lines that verify under keys it knows, and none from the future."""
    asked = request(0, 7)
    answer, text = decide(asked), format_checkpoint(asked.checkpoint)
    stranger = vkey("x.example", KeyKind.COSIGNATURE, ed25519("x"))

    for vkeys, shown, reason in (
        ([stranger], text, "NOTE_UNSIGNED"),
        ([WITNESS], text.replace("\n7\n", "\n8\n"), "SIGNATURE"),
    ):
        with pytest.raises(UntrustedError) as caught:
            verify_answer(answer.body, shown, vkeys=vkeys, not_after=COSIGN_TIME)
        assert caught.value.reason == reason
    with pytest.raises(StaleError):
        verify_answer(answer.body, text, vkeys=[WITNESS], not_after=COSIGN_TIME - timedelta(seconds=1))
    with pytest.raises(MalformedError):
        verify_answer(b"", text, vkeys=[WITNESS], not_after=COSIGN_TIME)


@pytest.mark.parametrize("body", [b"", b"7", b"7\n\n", b"07\n", b"7\r\n", b"9" * 40 + b"\n"])
def test_parse_size_other_form_is_refused(body):
    """One decimal and its LF."""
    with pytest.raises(MalformedError):
        parse_size(body)


def test_monitoring_path_is_the_hash_of_the_origin():
    """The golden value of the read path."""
    assert monitoring_path(ORIGIN) == "bdc94b2409066e8d0e61ddd1a5d6cec7468a0a0e7331d8abaa4a7d97e6713882/checkpoint"


def test_state_of_the_empty_tree_allows_growth():
    """A log cosigned at size 0 goes on from size 0."""
    empty = WitnessState(size=0, root=EMPTY_ROOT, cosign_time=COSIGN_TIME)

    assert decide(request(0, 7), last=empty).status == Status.COSIGNED
