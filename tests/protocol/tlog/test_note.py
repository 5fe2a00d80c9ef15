"""Signed notes and verifier keys (C2SP signed-note)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.tlog.note import (
    MAX_LINES,
    MAX_NOTE_BYTES,
    KeyKind,
    Note,
    NoteSignature,
    Vkey,
    format_note,
    format_signature_lines,
    format_vkey,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    sign_note_line,
    verify_note,
)
from tests.protocol.tlog.golden import LOG, LOG_KEY, LOG_VKEY, PQ_WITNESS, WITNESS, WITNESS_KEY, WITNESS_VKEY

DASH = "\u2014"

# The note of the C2SP text and of golang/mod, with their public keys.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    f"{DASH} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12).filter(
    lambda name: "+" not in name and not any(char.isspace() for char in name)
)
SIGNATURES = st.builds(
    NoteSignature, name=NAMES, key_id=st.binary(min_size=4, max_size=4), payload=st.binary(min_size=1, max_size=90)
)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), min_codepoint=32) | st.just("\n"), max_size=60).map(
    lambda text: text + "\n"
)


def signed(text="hello\n", keys=((LOG, LOG_KEY),)) -> bytes:
    """A note signed by Ed25519 keys."""
    lines = tuple(sign_note_line(text, vkey, sign=key.sign) for vkey, key in keys)
    return format_note(Note(text=text, signatures=lines))


def test_parse_vkey_golden_keys_round_trip():
    """The golden vkeys read back byte for byte, with the golden key ids."""
    assert parse_vkey(LOG_VKEY) == LOG
    assert (format_vkey(LOG), str(WITNESS)) == (LOG_VKEY, WITNESS_VKEY)
    assert (LOG.key_id.hex(), PQ_WITNESS.key_id.hex()) == ("77ea5bae", "40e82aa5")
    assert len(format_vkey(PQ_WITNESS)) == 1783
    assert parse_vkey(format_vkey(PQ_WITNESS)) == PQ_WITNESS


def test_parse_vkey_ecdsa_key_id_is_over_the_key_alone():
    """Kind 2 has another key id: the hash of the SPKI bytes."""
    text = format_vkey(Vkey(name="ec.example", kind=KeyKind.ECDSA, public_key=b"spki"))

    assert parse_vkey(text).key_id.hex() == text.split("+")[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "VKEY"),
        ("log.example", "VKEY"),
        (LOG_VKEY.replace("77ea5bae", "77EA5BAE"), "VKEY"),
        (LOG_VKEY.replace("77ea5bae", "7ea5bae"), "VKEY"),
        (LOG_VKEY.replace("77ea5bae", "77ea5baf"), "VKEY_ID"),
        (LOG_VKEY.replace("log.example", "log2.example"), "VKEY_ID"),
        (LOG_VKEY + "\n", "BASE64"),
        (LOG_VKEY[:-4], "VKEY"),
        ("+77ea5bae+AW708rmjJrfRjPbKPxIdGeOTbGuc4ktEYJOpwhl79RXJ", "KEY_NAME"),
        (LOG_VKEY.replace("/exchange", " exchange"), "KEY_NAME"),
        ("x+00000000+AQ==", "VKEY"),
        ("x+00000000+", "VKEY"),
    ],
)
def test_parse_vkey_other_form_is_refused(text, reason):
    """The key id is computed again, the key length fixed, the form strict."""
    with pytest.raises(MalformedError) as caught:
        parse_vkey(text)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "vkey", [Vkey(name="a b", kind=1, public_key=bytes(32)), Vkey(name="a", kind=300, public_key=b"x")]
)
def test_format_vkey_impossible_value_is_refused(vkey):
    """Nothing is written that would not be read."""
    with pytest.raises(MalformedError):
        format_vkey(vkey)


def test_verify_note_published_note_verifies():
    """The note of golang/mod's own tests verifies under its key, and not with another text."""
    peter = parse_vkey(PETER_VKEY)

    assert verify_note(PETER_NOTE.encode(), [peter]).text.startswith("If you think")
    with pytest.raises(UntrustedError):
        verify_note(PETER_NOTE.replace("answer", "Answer").encode(), [peter])


def test_parse_note_last_empty_line_parts_text_from_signatures():
    """The text may hold empty lines."""
    text = "a\n\n\nb\n\n"

    note = verify_note(signed(text), [LOG])

    assert note.text == text


@given(st.builds(Note, text=TEXTS, signatures=st.lists(SIGNATURES, min_size=1, max_size=4).map(tuple)))
def test_note_round_trips(note):
    """Every lawful note reads back as itself."""
    assert parse_note(format_note(note)) == note


@given(st.lists(SIGNATURES, min_size=1, max_size=5).map(tuple))
def test_signature_lines_round_trip(signatures):
    """A witness's answer reads back as itself."""
    assert parse_signature_lines(format_signature_lines(signatures)) == signatures


LINE = f"{DASH} n AAAAAAE=\n"


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "TEXT"),
        (b"a\n", "NOTE"),
        (b"a\n\n", "NOTE"),
        (f"a\n{LINE}".encode(), "NOTE"),
        (f"a\n\n{LINE}".rstrip("\n").encode(), "TEXT"),
        (f"a\n\n{LINE}\n".encode(), "NOTE"),
        (f"a\n\n{LINE}b\n".encode(), "NOTE_LINE"),
        (f"a\r\n\n{LINE}".encode(), "TEXT"),
        (f"a\tb\n\n{LINE}".encode(), "TEXT"),
        (b"\xff\n\n" + LINE.encode(), "TEXT"),
        (b"a\n\n- n AAAAAAE=\n", "NOTE_LINE"),
        (f"a\n\n{DASH}n AAAAAAE=\n".encode(), "NOTE_LINE"),
        (f"a\n\n{DASH} n  AAAAAAE=\n".encode(), "NOTE_LINE"),
        (f"a\n\n{DASH} n AAAAAAE= \n".encode(), "NOTE_LINE"),
        (f"a\n\n{DASH}  AAAAAAE=\n".encode(), "NOTE_LINE"),
        (f"a\n\n{DASH} n AAAAAA==\n".encode(), "NOTE_LINE"),
        (f"a\n\n{DASH} n AAAAAAF=\n".encode(), "BASE64"),
        (f"a\n\n{DASH} n+m AAAAAAE=\n".encode(), "KEY_NAME"),
        (f"a\n\n{DASH} n\u2003m AAAAAAE=\n".encode(), "KEY_NAME"),
        (f"a\n\n{DASH} n\u0085m AAAAAAE=\n".encode(), "KEY_NAME"),
        (b"a\n\n" + LINE.encode() * (MAX_LINES + 1), "NOTE"),
        (b"a" * MAX_NOTE_BYTES + b"\n\n" + LINE.encode(), "TEXT_SIZE"),
    ],
)
def test_parse_note_other_form_is_refused(blob, reason):
    """Every rule of section 3 of the format has its refusal."""
    with pytest.raises(MalformedError) as caught:
        parse_note(blob)

    assert caught.value.reason == reason


def test_parse_note_of_64_lines_is_read():
    """At least 16 lines must be read; we read 64."""
    assert len(parse_note(b"a\n\n" + LINE.encode() * MAX_LINES).signatures) == MAX_LINES


@given(st.binary(max_size=80))
def test_parse_note_arbitrary_bytes_raise_nothing_else(blob):
    """No `ValueError` leaves the parser, whatever comes in."""
    try:
        parse_note(b"a\n\n" + DASH.encode() + b" " + blob)
    except MalformedError:
        return


@pytest.mark.parametrize(
    "note",
    [
        Note(text="a\n", signatures=()),
        Note(text="a", signatures=(NoteSignature(name="n", key_id=bytes(4), payload=b"x"),)),
        Note(text="a\n", signatures=(NoteSignature(name="n m", key_id=bytes(4), payload=b"x"),)),
        Note(text="a\n", signatures=(NoteSignature(name="n", key_id=bytes(3), payload=b"x"),)),
        Note(text="a\n", signatures=(NoteSignature(name="n", key_id=bytes(4), payload=b""),)),
    ],
)
def test_format_note_impossible_value_is_refused(note):
    """Nothing is written that would not be read."""
    with pytest.raises(MalformedError):
        format_note(note)


def test_verify_note_unknown_lines_are_ignored():
    """A line whose name or id alone is known is a stranger's."""
    same_name = NoteSignature(name=LOG.name, key_id=bytes(4), payload=bytes(64))
    same_id = NoteSignature(name="other", key_id=LOG.key_id, payload=bytes(64))
    note = parse_note(signed())
    blob = format_note(Note(text=note.text, signatures=(same_name, *note.signatures, same_id)))

    assert [line.vkey for line in verify_note(blob, [LOG]).lines] == [LOG]


def test_verify_note_one_known_line_that_fails_rejects_the_note():
    """A good line by the same or another known key does not save it."""
    other = Vkey(name="w", kind=KeyKind.ED25519, public_key=WITNESS.public_key)
    note = parse_note(signed())
    for bad in (
        NoteSignature(name=LOG.name, key_id=LOG.key_id, payload=bytes(64)),
        NoteSignature(name=other.name, key_id=other.key_id, payload=bytes(64)),
        NoteSignature(name=other.name, key_id=other.key_id, payload=b"short"),
    ):
        blob = format_note(Note(text=note.text, signatures=(*note.signatures, bad)))
        with pytest.raises(UntrustedError) as caught:
            verify_note(blob, [LOG, other])
        assert caught.value.reason == "SIGNATURE"


def test_verify_note_without_known_line_is_rejected():
    """A note nobody known signed is nobody's."""
    with pytest.raises(UntrustedError) as caught:
        verify_note(signed(), [])

    assert caught.value.reason == "NOTE_UNSIGNED"


def test_verify_note_two_keys_for_one_name_and_id_are_refused():
    """The verifier would not know which key was meant; the same key twice is no harm."""
    twin = Twin(name=LOG.name, kind=1, public_key=WITNESS.public_key)

    assert verify_note(signed(), [LOG, LOG]).lines
    with pytest.raises(MalformedError) as caught:
        verify_note(signed(), [LOG, twin])
    assert caught.value.reason == "VKEY_AMBIGUOUS"


class Twin(Vkey):
    """A key made so that its four-byte id collides with the log's."""

    @property
    def key_id(self):
        """The other key's id."""
        return LOG.key_id


def test_verify_note_key_of_a_kind_not_verified_is_rejected():
    """A known line that cannot be checked is not a line that verified."""
    vkey = Vkey(name="ec", kind=KeyKind.ECDSA, public_key=b"spki")
    blob = format_note(Note(text="a\n", signatures=(NoteSignature(name="ec", key_id=vkey.key_id, payload=b"der"),)))

    with pytest.raises(UntrustedError) as caught:
        verify_note(blob, [vkey])
    assert caught.value.reason == "VKEY_KIND"


def test_sign_note_line_wrong_key_or_signer_is_refused():
    """A cosigner's key signs no plain note, and a signer returns 64 bytes."""
    with pytest.raises(MalformedError):
        sign_note_line("a\n", WITNESS, sign=WITNESS_KEY.sign)
    with pytest.raises(MalformedError):
        sign_note_line("a\n", LOG, sign=lambda message: message)
    with pytest.raises(MalformedError):
        sign_note_line("a", LOG, sign=LOG_KEY.sign)


@given(st.integers(0, 8 * len(PETER_NOTE.encode()) - 1))
def test_verify_note_any_flipped_bit_fails(bit):
    """No bit of a signed note is free."""
    blob = bytearray(PETER_NOTE.encode())
    blob[bit // 8] ^= 1 << bit % 8

    with pytest.raises((MalformedError, UntrustedError)):
        verify_note(bytes(blob), [parse_vkey(PETER_VKEY)])


def test_golden_line_is_base64_of_id_and_signature():
    """A line's base64 holds four bytes of key id, then the signature."""
    line = format_signature_lines(parse_note(signed()).signatures)

    assert base64.b64decode(line.split(" ")[2])[:4] == LOG.key_id
