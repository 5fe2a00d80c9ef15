"""Cosignatures, Ed25519 and ML-DSA-44 (C2SP tlog-cosignature)."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from federation.protocol.errors import MalformedError, StaleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.tlog.cosignature import (
    check_line,
    cosignature_time,
    encode_subtree_message,
    format_cosignature_message,
    sign_cosignature,
    verify_cosignatures,
    verify_cosigned,
)
from federation.protocol.tlog.note import (
    Checkpoint,
    KeyKind,
    Note,
    NoteSignature,
    format_note,
    format_signature_lines,
    parse_checkpoint,
    parse_note,
    sign_checkpoint,
    verify_note,
)
from tests.protocol.tlog.golden import (
    CHECKPOINT,
    CHECKPOINT_TEXT,
    COSIGN_TIME,
    LOG,
    LOG_KEY,
    PQ_KEY,
    PQ_WITNESS,
    WITNESS,
    WITNESS_KEY,
    ed25519,
    vkey,
)

LATER = COSIGN_TIME + timedelta(seconds=5)


def cosign(time=COSIGN_TIME, key=WITNESS, private=WITNESS_KEY, text=CHECKPOINT_TEXT) -> NoteSignature:
    """One line by a witness."""
    return sign_cosignature(text, key, cosign_time=time, sign=private.sign)


def note_with(*lines: NoteSignature) -> bytes:
    """The golden checkpoint with its log line and other lines."""
    return format_note(Note(text=CHECKPOINT_TEXT, signatures=(parse_note(CHECKPOINT).signatures[0], *lines)))


def test_sign_cosignature_ed25519_matches_golden_line():
    """The 0x04 line and the bytes it signs are the golden ones."""
    message = format_cosignature_message(CHECKPOINT_TEXT, COSIGN_TIME)

    assert note_with(cosign()) == CHECKPOINT
    assert (len(message), sha256(message).hexdigest()) == (
        104,
        "7b99c76451d7241f6b686c0787658d8c9bfac3d2ae50328bf810ed651bf80266",
    )


def test_sign_cosignature_mldsa44_matches_golden_message_and_verifies():
    """The 0x06 signature is randomised: its message and length are golden, the line verifies."""
    message = encode_subtree_message(parse_checkpoint(CHECKPOINT_TEXT), PQ_WITNESS.name, cosign_time=COSIGN_TIME)
    line = cosign(key=PQ_WITNESS, private=PQ_KEY)

    assert (len(message), sha256(message).hexdigest()) == (
        116,
        "6d9a1e2d678a1b693f5ce3649fff8a0c7a15093d3ce26ec7cafa337215e299a7",
    )
    assert len(format_signature_lines([line]).encode()) == 3271
    found = verify_cosigned(note_with(cosign(), line), LOG, witnesses=[WITNESS, PQ_WITNESS], not_after=LATER)
    assert [(one.vkey.name, one.cosign_time) for one in found.cosignatures] == [
        (WITNESS.name, COSIGN_TIME),
        (PQ_WITNESS.name, COSIGN_TIME),
    ]


def test_check_line_judges_each_line_by_the_kind_of_its_key():
    """One check serves a note with lines of all three kinds."""
    blob = note_with(cosign(), cosign(key=PQ_WITNESS, private=PQ_KEY))

    verified = verify_note(blob, [LOG, WITNESS, PQ_WITNESS], check=check_line)

    assert [line.vkey.kind for line in verified.lines] == [1, 4, 6]


def test_verify_cosigned_gives_log_line_time_and_distinct_keys():
    """Two lines by one key are one cosigner."""
    blob = note_with(cosign(), cosign(COSIGN_TIME + timedelta(seconds=1)))

    found = verify_cosigned(blob, LOG, witnesses=[WITNESS], not_after=LATER)

    assert (found.log, found.checkpoint.size, len(found.cosignatures)) == (LOG, 7, 2)
    assert found.cosigner_keys == {WITNESS.public_key}


@pytest.mark.parametrize("kind", ["ed25519", "mldsa44"])
def test_verify_cosigned_changed_time_rejects_the_note(kind):
    """The time is signed."""
    key, line = (WITNESS, cosign()) if kind == "ed25519" else (PQ_WITNESS, cosign(key=PQ_WITNESS, private=PQ_KEY))
    moved = replace(line, payload=(1790000001).to_bytes(8) + line.payload[8:])

    with pytest.raises(UntrustedError) as caught:
        verify_cosigned(note_with(moved), LOG, witnesses=[key], not_after=LATER)
    assert caught.value.reason == "SIGNATURE"


@pytest.mark.parametrize("payload", [b"x", bytes(8), b"\xff" * 72, (253402300800).to_bytes(8) + bytes(64)])
def test_verify_cosigned_time_missing_or_absurd_is_rejected(payload):
    """A time beyond the year 9999, above 2^63 or missing is no time."""
    line = NoteSignature(name=WITNESS.name, key_id=WITNESS.key_id, payload=payload)

    with pytest.raises(UntrustedError) as caught:
        verify_cosigned(note_with(line), LOG, witnesses=[WITNESS], not_after=LATER)
    assert caught.value.reason == "COSIGNATURE_TIME"


def test_verify_cosigned_line_from_the_future_is_refused():
    """A line later than the clock and its tolerance rejects; at the limit it counts."""
    assert verify_cosigned(CHECKPOINT, LOG, witnesses=[WITNESS], not_after=COSIGN_TIME).cosignatures
    with pytest.raises(StaleError) as caught:
        verify_cosigned(CHECKPOINT, LOG, witnesses=[WITNESS], not_after=COSIGN_TIME - timedelta(seconds=1))
    assert caught.value.reason == "COSIGNATURE_FUTURE"


def test_verify_cosigned_post_quantum_line_without_time_is_rejected():
    """Time zero says nothing about the newest tree; a witness never writes it."""
    line = cosign(datetime.fromtimestamp(0, UTC), PQ_WITNESS, PQ_KEY)

    with pytest.raises(UntrustedError) as caught:
        verify_cosigned(note_with(line), LOG, witnesses=[PQ_WITNESS], not_after=LATER)
    assert caught.value.reason == "COSIGNATURE_TIME"


def test_verify_cosigned_without_the_logs_line_is_rejected():
    """Witnesses do not speak for a log."""
    blob = format_note(Note(text=CHECKPOINT_TEXT, signatures=(cosign(),)))

    with pytest.raises(UntrustedError) as caught:
        verify_cosigned(blob, LOG, witnesses=[WITNESS], not_after=LATER)
    assert caught.value.reason == "NOTE_UNSIGNED"


def test_verify_cosigned_line_over_another_checkpoint_rejects():
    """A line is moved from no checkpoint to another."""
    other = parse_note(sign_checkpoint(Checkpoint(origin=LOG.name, size=8, root=bytes(32)), LOG, sign=LOG_KEY.sign))
    blob = format_note(Note(text=other.text, signatures=(*other.signatures, cosign())))

    with pytest.raises(UntrustedError):
        verify_cosigned(blob, LOG, witnesses=[WITNESS], not_after=LATER)


def test_verify_cosigned_plain_key_as_witness_is_refused():
    """A log's kind of key makes no timed line, so it is no witness key."""
    plain = vkey("w1.example/witness", KeyKind.ED25519, WITNESS_KEY)

    with pytest.raises(MalformedError) as caught:
        verify_cosigned(CHECKPOINT, LOG, witnesses=[plain], not_after=LATER)
    assert caught.value.reason == "VKEY_KIND"


def test_verify_cosignatures_of_strangers_are_ignored():
    """A stranger's line neither counts nor harms."""
    stranger = vkey("x.example", KeyKind.COSIGNATURE, ed25519("x"))
    broken = NoteSignature(name=stranger.name, key_id=stranger.key_id, payload=b"?")

    assert verify_cosignatures(CHECKPOINT_TEXT, [broken], witnesses=[WITNESS], not_after=LATER) == ()


def test_sign_cosignature_drops_the_fraction_of_a_second():
    """The format counts whole seconds, never a later one."""
    line = cosign(COSIGN_TIME + timedelta(microseconds=999_999))

    assert cosignature_time(line) == COSIGN_TIME


def test_sign_cosignature_impossible_request_is_refused():
    """No time before 1970, no log key, no short signature, no text that is not a checkpoint."""
    with pytest.raises(MalformedError):
        cosign(datetime(1969, 12, 31, tzinfo=UTC))
    with pytest.raises(MalformedError):
        cosign(key=LOG, private=LOG_KEY)
    with pytest.raises(MalformedError):
        sign_cosignature(CHECKPOINT_TEXT, WITNESS, cosign_time=COSIGN_TIME, sign=lambda message: b"short")
    with pytest.raises(MalformedError):
        cosign(text="not a checkpoint\n")


@pytest.mark.parametrize("name", ["", "n" * 256])
def test_encode_subtree_message_name_that_does_not_fit_is_refused(name):
    """A name has 1 to 255 bytes."""
    with pytest.raises(MalformedError):
        encode_subtree_message(parse_checkpoint(CHECKPOINT_TEXT), name, cosign_time=COSIGN_TIME)
