"""Checkpoints (C2SP tlog-checkpoint)."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.tlog.merkle import EMPTY_ROOT
from federation.protocol.tlog.note import (
    Checkpoint,
    KeyKind,
    Note,
    format_checkpoint,
    format_note,
    parse_checkpoint,
    sign_checkpoint,
    sign_note_line,
    verify_checkpoint,
)
from tests.protocol.tlog.golden import CHECKPOINT, CHECKPOINT_TEXT, LOG, LOG_KEY, ORIGIN, ROOTS, WITNESS, vkey

GOLDEN = Checkpoint(origin=ORIGIN, size=7, root=bytes.fromhex(ROOTS[7]))
ROOT_LINE = CHECKPOINT_TEXT.split("\n")[2]


def test_sign_checkpoint_matches_golden_bytes():
    """The log's own line is deterministic: the golden checkpoint starts with it."""
    blob = sign_checkpoint(GOLDEN, LOG, sign=LOG_KEY.sign)

    assert CHECKPOINT.startswith(blob)
    assert format_checkpoint(GOLDEN) == CHECKPOINT_TEXT
    assert (len(CHECKPOINT), sha256(CHECKPOINT).hexdigest()) == (
        325,
        "c4adef69c5f37f73ddba80433f6f4e304452fcd8a4203300e15f3d58b3963cbc",
    )


def test_verify_checkpoint_golden_verifies():
    """The log's line is enough; the witness's line is ignored."""
    assert verify_checkpoint(CHECKPOINT, LOG) == GOLDEN


@given(
    st.builds(
        Checkpoint,
        origin=st.text(st.characters(blacklist_categories=("Cs",), min_codepoint=32), min_size=1),
        size=st.integers(0, 2**63 - 1),
        root=st.binary(min_size=32, max_size=32),
    )
)
def test_checkpoint_round_trips(checkpoint):
    """Every lawful checkpoint reads back as itself."""
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n7\n{ROOT_LINE}",
        f"\n7\n{ROOT_LINE}\n",
        f"o\n07\n{ROOT_LINE}\n",
        f"o\n+7\n{ROOT_LINE}\n",
        f"o\n7 \n{ROOT_LINE}\n",
        f"o\n7\n{ROOT_LINE[:-4]}\n",
        f"o\n7\n{ROOT_LINE} \n",
        "o\n7\n",
        f"o\n7\n{ROOT_LINE}\nextension\n",
        f"o\n7\n{ROOT_LINE}\n\n",
        f"o\r\n7\n{ROOT_LINE}\n",
        f"o\n7\n{ROOT_LINE}\r\n",
        f"o\u20287\n{ROOT_LINE}\n",
    ],
)
def test_parse_checkpoint_other_form_is_refused(text):
    """Three strict lines, no extension line, nothing else."""
    with pytest.raises(MalformedError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(origin="", size=0, root=EMPTY_ROOT),
        Checkpoint(origin="a\nb", size=0, root=EMPTY_ROOT),
        Checkpoint(origin="a", size=-1, root=EMPTY_ROOT),
        Checkpoint(origin="a", size=2**63, root=EMPTY_ROOT),
        Checkpoint(origin="a", size=1, root=b"short"),
    ],
)
def test_format_checkpoint_impossible_value_is_refused(checkpoint):
    """Nothing is written that would not be read."""
    with pytest.raises(MalformedError):
        format_checkpoint(checkpoint)


def test_sign_checkpoint_key_of_another_name_or_kind_is_refused():
    """The log's key is named as its origin and is an Ed25519 key."""
    other = vkey("other.example", KeyKind.ED25519, LOG_KEY)
    cosigner = vkey(ORIGIN, KeyKind.COSIGNATURE, LOG_KEY)

    for key, reason in ((other, "ORIGIN"), (WITNESS, "ORIGIN"), (cosigner, "VKEY_KIND")):
        with pytest.raises(MalformedError) as caught:
            sign_checkpoint(GOLDEN, key, sign=LOG_KEY.sign)
        assert caught.value.reason == reason


def test_verify_checkpoint_about_another_log_is_rejected():
    """A key that signs another origin's head does not speak for that log."""
    text = CHECKPOINT_TEXT.replace(ORIGIN, "other.example")
    blob = format_note(Note(text=text, signatures=(sign_note_line(text, LOG, sign=LOG_KEY.sign),)))

    with pytest.raises(UntrustedError) as caught:
        verify_checkpoint(blob, LOG)
    assert caught.value.reason == "ORIGIN"


def test_verify_checkpoint_empty_tree_with_another_root_is_rejected():
    """Size 0 has one root."""
    good = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT), LOG, sign=LOG_KEY.sign)
    bad = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=bytes(32)), LOG, sign=LOG_KEY.sign)

    assert verify_checkpoint(good, LOG).size == 0
    with pytest.raises(UntrustedError) as caught:
        verify_checkpoint(bad, LOG)
    assert caught.value.reason == "EMPTY_ROOT"


def test_verify_checkpoint_without_the_logs_line_is_rejected():
    """A witness's line alone makes no head."""
    with pytest.raises(UntrustedError) as caught:
        verify_checkpoint(CHECKPOINT.replace("\u2014 log.example".encode(), "\u2014 lag.example".encode()), LOG)

    assert caught.value.reason == "NOTE_UNSIGNED"
