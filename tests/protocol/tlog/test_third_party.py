"""What we write, checked by programs of others: golang.org/x/mod in Go, and tlog-scales in Python."""

import subprocess
import sys
from pathlib import Path

import pytest
from tlog_scales.signing import Vkey as ScalesVkey
from tlog_scales.signing import VkeySet
from tlog_scales.tlog import Checkpoint as ScalesCheckpoint

from federation.protocol.tlog.cosignature import sign_cosignature
from federation.protocol.tlog.merkle import inclusion_proof
from federation.protocol.tlog.note import (
    Checkpoint,
    Note,
    format_checkpoint,
    format_note,
    format_vkey,
    parse_note,
    sign_checkpoint,
)
from federation.protocol.tlog.proof import TlogProof, format_proof
from federation.protocol.tlog.tiles import ENTRIES, TILE_WIDTH, encode_bundle
from tests.protocol.tlog.golden import (
    CHECKPOINT,
    COSIGN_TIME,
    LOG,
    LOG_KEY,
    LOG_VKEY,
    ORIGIN,
    PQ_KEY,
    PQ_WITNESS,
    PROOF,
    WITNESS,
    WITNESS_KEY,
    WITNESS_VKEY,
    entry,
    tree,
)
from tests.protocol.tlog.published import tiles_between
from tests.vectors.goverify_build import go_verifier, run_go_verifier

TLOG_TILES = Path(sys.executable).with_name("tlog-tiles")


@pytest.fixture(scope="session")
def verifier(tmp_path_factory):
    """The Go program, built once."""
    return go_verifier(tmp_path_factory.mktemp("goverify"))


def cosigned(size: int) -> bytes:
    """The golden log's checkpoint at a size, with the golden witness's line."""
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=tree(size).roots[size])
    text = format_checkpoint(checkpoint)
    own = parse_note(sign_checkpoint(checkpoint, LOG, sign=LOG_KEY.sign)).signatures
    line = sign_cosignature(text, WITNESS, cosign_time=COSIGN_TIME, sign=WITNESS_KEY.sign)
    return format_note(Note(text=text, signatures=(*own, line)))


def write_log(folder: Path, size: int) -> Path:
    """Writes the golden log at a size as static files."""
    nodes = tree(size).nodes
    for tile in tiles_between(0, size):
        path = folder / str(tile)
        path.parent.mkdir(parents=True, exist_ok=True)
        places = range(tile.index * TILE_WIDTH, tile.index * TILE_WIDTH + tile.width)
        if tile.level == ENTRIES:
            path.write_bytes(encode_bundle(entry(at) for at in places))
        else:
            path.write_bytes(b"".join(nodes[tile.level * 8, at] for at in places))
    (folder / "checkpoint").write_bytes(cosigned(size))
    return folder


def write_proof(
    folder: Path, *, proof: bytes = PROOF, leaf: bytes = b"4", vkeys: str = f"{LOG_VKEY}\n{WITNESS_VKEY}\n"
):
    """Writes the three files that the Go program reads."""
    (folder / "vkeys").write_text(vkeys, encoding="utf-8")
    (folder / "proof").write_bytes(proof)
    (folder / "leaf").write_bytes(leaf)
    return folder / "vkeys", folder / "proof", folder / "leaf"


def test_go_accepts_the_golden_proof_with_quorum_1(verifier, tmp_path):
    """Log line, cosignature and inclusion, by code of others."""
    done = run_go_verifier(verifier, "proof", *write_proof(tmp_path), "1")

    assert (done.returncode, done.stdout) == (0, "OK index 4 size 7 cosigners 1\n")


@pytest.mark.parametrize(
    ("change", "quorum"),
    [
        ({}, "2"),
        ({"leaf": b"5"}, "1"),
        ({"proof": PROOF.replace(b"index 4", b"index 5")}, "1"),
        ({"vkeys": f"{WITNESS_VKEY}\n"}, "1"),
        ({"vkeys": f"{LOG_VKEY}\n"}, "1"),
        ({"proof": PROOF.replace(b"\n7\n", b"\n8\n")}, "1"),
    ],
    ids=["quorum 2", "entry 5", "index 5", "no log key", "no witness key", "size 8"],
)
def test_go_refuses_what_we_refuse(verifier, tmp_path, change, quorum):
    """The same refusals as ours."""
    done = run_go_verifier(verifier, "proof", *write_proof(tmp_path, **change), quorum)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("FAILED ")


@pytest.mark.parametrize("index", [0, 255, 256, 699])
def test_go_accepts_our_proofs_across_tiles(verifier, tmp_path, index):
    """Proofs whose paths leave the first tile."""
    blob = format_proof(
        TlogProof(index=index, hashes=inclusion_proof(index, 700, tree(700).read), checkpoint=cosigned(700))
    )

    done = run_go_verifier(verifier, "proof", *write_proof(tmp_path, proof=blob, leaf=entry(index)), "1")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("size", [0, 1, 7, 256, 257, 700])
def test_go_recomputes_the_root_of_our_log_from_its_entries(verifier, tmp_path, size):
    """The static files of a log are enough for a stranger."""
    done = run_go_verifier(verifier, "log", LOG_VKEY, write_log(tmp_path, size))

    assert (done.returncode, done.stdout) == (0, f"{size} OK\n"), done.stderr


def test_go_refuses_a_log_with_one_changed_entry(verifier, tmp_path):
    """One byte of one entry, and the root is another."""
    path = write_log(tmp_path, 257) / "tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b"77", b"78", 1))

    assert run_go_verifier(verifier, "log", LOG_VKEY, tmp_path).returncode == 1


def test_go_refuses_a_log_by_another_key(verifier, tmp_path):
    """The checkpoint is opened with the key that the reader trusts."""
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

    assert run_go_verifier(verifier, "log", other, write_log(tmp_path, 7)).returncode == 1


def tlog_tiles(*args) -> bytes:
    """What the command line tool of tlog-scales prints."""
    return subprocess.run([str(TLOG_TILES), *map(str, args)], check=True, capture_output=True, timeout=60).stdout


@pytest.mark.parametrize(("size", "index"), [(7, 4), (1, 0), (257, 256), (700, 300)])
def test_tlog_scales_makes_the_same_proof_byte_for_byte(tmp_path, size, index):
    """Two programs, one file."""
    folder = write_log(tmp_path, size)
    hashes = inclusion_proof(index, size, tree(size).read)

    ours = format_proof(TlogProof(index=index, hashes=hashes, checkpoint=cosigned(size)))

    assert tlog_tiles("gen-proof", folder, index) == ours
    assert tlog_tiles("get-leaf", "-c", folder, index) == entry(index)
    assert size != 7 or ours == PROOF


def test_tlog_scales_verifies_all_three_kinds_of_line():
    """The log's line, the compatible and the post-quantum cosignature."""
    parsed = parse_note(CHECKPOINT)
    line = sign_cosignature(parsed.text, PQ_WITNESS, cosign_time=COSIGN_TIME, sign=PQ_KEY.sign)
    blob = format_note(Note(text=parsed.text, signatures=(*parsed.signatures, line)))
    known = VkeySet(*(ScalesVkey.from_string(text) for text in (LOG_VKEY, WITNESS_VKEY, format_vkey(PQ_WITNESS))))
    checkpoint = ScalesCheckpoint.from_text(blob.decode())

    valid = known.verify(checkpoint.signatures, checkpoint)

    assert {vkey.pubkey for vkey, _ in valid} == {LOG.public_key, WITNESS.public_key, PQ_WITNESS.public_key}
