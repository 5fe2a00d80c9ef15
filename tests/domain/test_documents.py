"""Documents of joint cases: manifests, chunks and their proofs, and what may be a document."""

import hashlib
import hmac
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.case_items import CLASSES
from federation.domain.documents import (
    CHUNK_BYTES,
    FIELDS,
    MAX_BYTES,
    MEDIA_TYPES,
    MIN_CHUNK_BYTES,
    Chunk,
    Manifest,
    Prover,
    chunk_salt,
    hash_chunk,
    manifest_fields,
    media_type_of,
    read_manifest,
    verify_chunk,
    verify_content,
    verify_manifest,
    verify_start,
)
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.tlog.merkle import merkle_root

SALT = bytes(range(32))
PDF = b"%PDF-1.7\n"
DOCX = media_type_of("a.docx")


def refused(call, *args):
    with pytest.raises(BridgeheadError) as caught:
        call(*args)
    return caught.value.reason


def cut(content, size=MIN_CHUNK_BYTES):
    return [content[at : at + size] for at in range(0, len(content), size)]


def document(content, *, name="协议.pdf", salt=SALT):
    """The manifest of a document in small chunks, and its chunks."""
    parts = cut(content)
    hashes = [hash_chunk(chunk_salt(salt, number), data) for number, data in enumerate(parts)]
    made = Manifest(
        name=name, media_type=media_type_of(name), size=len(content), chunk_size=MIN_CHUNK_BYTES,
        root=merkle_root(hashes).hex(),
    )  # fmt: skip
    prover = Prover(hashes)
    chunks = [
        Chunk(number=number, salt=chunk_salt(salt, number), data=data, proof=prover.prove(number))
        for number, data in enumerate(parts)
    ]
    return made, chunks


def archive(**files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name.replace("__", "/").replace("_", "."), content)
    return made.getvalue()


def test_the_root_is_the_tree_over_salted_chunks():
    """Computed here without any code of ours; the last is a golden value that other implementations must get too."""
    content = bytes(range(256)) * 48
    manifest, _ = document(content)
    leaves = [
        hashlib.sha256(
            b"\x00" + hmac.digest(SALT, b"bridgehead/document-salt/v1" + number.to_bytes(8, "big"), "sha256") + data
        ).digest()
        for number, data in enumerate(cut(content))
    ]
    pair = hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).digest()

    assert len(leaves) == manifest.chunks == 3
    assert manifest.root == hashlib.sha256(b"\x01" + pair + leaves[2]).hexdigest()
    assert manifest.root == "c310fe0167755ef908fc096c2fa8fe71e7c98d12a108a7607295c54fca13dee8"


@given(st.integers(1, 12 * MIN_CHUNK_BYTES), st.binary(min_size=32, max_size=32), st.data())
def test_each_chunk_is_proved_by_itself_and_no_other_passes(size, salt, data):
    """Each chunk verifies with its own path alone; another byte, salt, place or path does not."""
    content = hashlib.shake_128(size.to_bytes(4, "big")).digest(size)
    manifest, chunks = document(content, salt=salt)
    chunk = data.draw(st.sampled_from(chunks))
    at = data.draw(st.integers(0, len(chunk.data) - 1))
    changed = chunk.data[:at] + bytes([chunk.data[at] ^ 1]) + chunk.data[at + 1 :]

    assert verify_chunk(chunk, manifest) == hash_chunk(chunk.salt, chunk.data)
    assert b"".join(each.data for each in chunks) == content
    for wrong in (
        Chunk(number=chunk.number, salt=chunk.salt, data=changed, proof=chunk.proof),
        Chunk(number=chunk.number, salt=bytes(32), data=chunk.data, proof=chunk.proof),
        Chunk(number=chunk.number, salt=chunk.salt, data=chunk.data, proof=(*chunk.proof, bytes(32))),
        *(each for each in [Chunk(number=chunk.number + 1, salt=chunk.salt, data=chunk.data, proof=chunk.proof)]),
    ):
        assert refused(verify_chunk, wrong, manifest) in ("INCLUSION", "INCLUSION_PROOF", "DOCUMENT_CHUNK")


def test_a_chunk_of_another_length_is_refused_before_it_is_hashed():
    """Lengths of chunk, salt and path are looked at first."""
    manifest, chunks = document(PDF + bytes(MIN_CHUNK_BYTES))
    first, last = chunks
    longer = Chunk(number=1, salt=last.salt, data=last.data + b"x", proof=last.proof)

    assert refused(verify_chunk, longer, manifest) == "DOCUMENT_CHUNK"
    assert refused(verify_chunk, Chunk(number=0, salt=b"", data=first.data, proof=first.proof), manifest) == (
        "DOCUMENT_CHUNK"
    )
    many = Chunk(number=0, salt=first.salt, data=first.data, proof=(bytes(32),) * 64)
    assert refused(verify_chunk, many, manifest) == "DOCUMENT_CHUNK"


def test_a_manifest_is_the_fields_of_an_item():
    """All fields open make the manifest; one that is closed closes the document."""
    manifest, _ = document(PDF)
    fields = manifest_fields(manifest)

    assert tuple(fields) == FIELDS == tuple(CLASSES["document"])
    assert read_manifest(fields) == manifest
    assert all(read_manifest({name: fields[name] for name in FIELDS if name != closed}) is None for closed in FIELDS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": "0"}, "DOCUMENT_MANIFEST"),
        ({"size": str(MAX_BYTES + 1)}, "DOCUMENT_MANIFEST"),
        ({"size": "many"}, "DOCUMENT_MANIFEST"),
        ({"chunk_size": str(2 * CHUNK_BYTES)}, "DOCUMENT_MANIFEST"),
        ({"chunk_size": "5000"}, "DOCUMENT_MANIFEST"),
        ({"size": str(4097 * MIN_CHUNK_BYTES)}, "DOCUMENT_MANIFEST"),
        ({"media_type": "application/x-msdownload"}, "DOCUMENT_TYPE"),
        ({"media_type": "image/png"}, "DOCUMENT_TYPE"),
        ({"name": "协议.pdf.exe"}, "DOCUMENT_PROGRAM"),
        ({"name": "协议"}, "DOCUMENT_TYPE"),
        ({"name": ".pdf"}, "DOCUMENT_TYPE"),
        ({"name": "33082221010101001X.pdf"}, "DOCUMENT_MANIFEST"),
    ],
)
def test_a_manifest_of_what_may_be_no_document_is_refused(change, reason):
    """Sizes, kind and name of a manifest are within what was agreed."""
    fields = manifest_fields(document(PDF)[0])
    assert refused(read_manifest, {**fields, **change}) == reason


def test_a_manifest_that_a_hostile_node_wrote_is_judged_like_any():
    """A manifest that was not made here passes by the same rules."""
    manifest = document(PDF)[0]
    assert verify_manifest(manifest) is manifest
    assert refused(verify_manifest, replace(manifest, chunk_size=5000)) == "DOCUMENT_MANIFEST"


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@pytest.mark.parametrize("start", [b"MZ\x90\x00", b"\x7fELF\x02", b"#!/bin/sh\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_program_is_no_document_whatever_it_is_called(media_type, start):
    """A program is refused under every kind."""
    assert refused(verify_content, media_type, io.BytesIO(start + bytes(600))) == "DOCUMENT_PROGRAM"


@pytest.mark.parametrize(("media_type", "kind"), MEDIA_TYPES.items())
def test_bytes_are_of_the_kind_that_is_named(media_type, kind):
    """Each kind is told by its beginning and by its name."""
    for at, begins in kind.starts:
        verify_start(media_type, bytes(at) + begins + bytes(20))
    if kind.starts:
        assert refused(verify_start, media_type, b"something else") == "DOCUMENT_TYPE"
    assert all(media_type_of(f"a.{ending.upper()}") == media_type for ending in kind.endings)


def test_text_is_utf_8_from_end_to_end():
    """A text is looked at as a whole."""
    verify_content("text/plain", io.BytesIO("调解笔录".encode() * 20_000))
    for wrong in (b"a\x00b", "调解".encode("gb18030"), "调".encode()[:2]):
        assert refused(verify_content, "text/csv", io.BytesIO(wrong)) == "DOCUMENT_TYPE"


def test_an_archive_is_looked_into():
    """What it holds is told by the bytes and by the name, one archive deep."""
    inner = archive(word__document_xml="<w/>")
    verify_content(DOCX, io.BytesIO(inner))
    verify_content("application/zip", io.BytesIO(archive(笔录_txt="一", 协议_docx=inner)))
    for wrong, reason in (
        (archive(notes_txt=b"MZ\x90\x00"), "DOCUMENT_PROGRAM"),
        (archive(run_bat="echo"), "DOCUMENT_PROGRAM"),
        (archive(word__vbaProject_bin=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "DOCUMENT_PROGRAM"),
        (archive(a_docx=archive(x_exe="MZ")), "DOCUMENT_PROGRAM"),
        (archive(a_docx=archive(b_docx=inner)), "DOCUMENT_ARCHIVE"),
        (archive(a_txt=b"Rar!\x1a\x07\x01\x00"), "DOCUMENT_ARCHIVE"),
        (archive(a_7z=b"anything"), "DOCUMENT_ARCHIVE"),
        (archive(), "DOCUMENT_TYPE"),
        (inner[:-30], "DOCUMENT_ARCHIVE"),
    ):
        assert refused(verify_content, "application/zip", io.BytesIO(wrong)) == reason


def test_an_archive_that_says_more_than_it_may_is_not_read():
    """Encrypted, of 64 bits, of another method, a longer directory than is read, or something before it."""
    made = archive(a_txt="one")
    directory, end = made.index(b"PK\x01\x02"), made.index(b"PK\x05\x06")
    encrypted = bytearray(made)
    encrypted[6] |= 1
    encrypted[directory + 8] |= 1
    lzma = bytearray(made)
    lzma[8] = lzma[directory + 10] = 14
    wide = made[:end] + b"PK\x06\x07" + bytes(16) + made[end:]
    long = bytearray(made)
    long[end + 12 : end + 16] = (64 * 1024 * 1024).to_bytes(4, "little")
    for wrong in (bytes(encrypted), bytes(lzma), wide, bytes(long)):
        assert refused(verify_content, "application/zip", io.BytesIO(wrong)) == "DOCUMENT_ARCHIVE"
    behind = b"PK\x03\x04" + bytes(100) + made
    assert refused(verify_content, "application/zip", io.BytesIO(behind)) == "DOCUMENT_ARCHIVE"


def test_archives_within_one_are_bounded_together():
    """Eight bombs of 8 MiB are not all read."""
    bomb = archive(a_txt=bytes(8 * 1024 * 1024))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number in range(8):
            zipped.writestr(f"{number}.zip", bomb + bytes(8 * 1024 * 1024 - len(bomb)))
    assert refused(verify_content, "application/zip", many) == "DOCUMENT_ARCHIVE"


def test_a_name_of_no_kind_has_no_media_type():
    """Names of programs and of kinds that are not listed are refused."""
    assert refused(media_type_of, "a.exe") == "DOCUMENT_PROGRAM"
    assert refused(media_type_of, "a.doc") == "DOCUMENT_TYPE"
