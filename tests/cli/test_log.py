"""`bridgehead log` against logs served over HTTP: nothing is printed that did not verify."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from federation.cli.audit import logs as app
from federation.protocol.errors import NotFoundError, UnavailableError, UntrustedError
from federation.protocol.tlog.merkle import hash_leaf, verify_inclusion
from federation.protocol.tlog.note import format_vkey, verify_checkpoint
from federation.protocol.tlog.proof import parse_proof
from federation.protocol.tlog.tiles import ENTRIES, Tile, encode_bundle
from tests.audit.provinces import JIANGXI, ZHEJIANG
from tests.cli.served_logs import ServedLogs


@pytest.fixture(scope="module")
def served():
    logs = ServedLogs()
    for _ in range(300):
        logs.provinces.send(ZHEJIANG, JIANGXI)
    yield logs
    logs.close()


@pytest.fixture
def log(served):
    yield served.provinces[ZHEJIANG]
    served.provinces[ZHEJIANG].tampered.clear()


@pytest.fixture
def run(served, tmp_path):
    path = served.write(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--federation", str(path)])

    return run


def test_checkpoint_prints_the_signed_head_verbatim(run, log):
    """What is printed is a C2SP checkpoint that any other program verifies."""
    result = run("checkpoint", "--node", ZHEJIANG)

    assert result.exit_code == 0, result.output
    assert verify_checkpoint(result.stdout.encode(), log.vkey) == log.head()


def test_checkpoint_as_json_names_origin_size_and_root(run, log):
    """For a program: the fields and the note."""
    value = json.loads(run("checkpoint", "--node", ZHEJIANG, "-o", "json").stdout)

    assert (value["size"], value["root"]) == (300, log.head().root.hex())


def test_checkpoint_of_another_key_is_not_printed(run, log, served):
    """An unsigned head is no head."""
    log.tampered["checkpoint"] = served.provinces[JIANGXI].note()

    result = run("checkpoint", "--node", ZHEJIANG)

    assert isinstance(result.exception, UntrustedError)
    assert result.stdout == ""


@pytest.mark.parametrize("index", [0, 255, 256, 299])
def test_proof_of_an_entry_verifies_under_the_head(run, log, index):
    """The proof is built from tiles fetched over HTTP, partial ones too."""
    result = run("proof", index, "--node", ZHEJIANG)

    proof = parse_proof(result.stdout.encode())
    head = verify_checkpoint(proof.checkpoint, log.vkey)
    verify_inclusion(hash_leaf(log.entries[index]), index, size=head.size, proof=proof.hashes, root=head.root)
    assert proof.index == index


def test_proof_by_url_and_key_needs_no_federation_file(served, log):
    """A stranger who was given the key by other means can read the log alone."""
    where = ["--read-url", f"http://127.0.0.1:{served.ports[ZHEJIANG]}", "--vkey", format_vkey(log.vkey)]

    result = CliRunner().invoke(app, ["proof", "7", *where])

    assert parse_proof(result.stdout.encode()).index == 7


@pytest.mark.parametrize("command", ["proof", "leaf"])
def test_entry_that_is_not_in_the_tree_is_not_printed(run, log, command):
    """An entry that was changed after it was logged has no proof."""
    log.tampered[str(Tile(ENTRIES, 1, 44))] = encode_bundle(log.entries[:44])

    result = run(command, 260, "--node", ZHEJIANG)

    assert isinstance(result.exception, UntrustedError)
    assert result.exception.reason == "INCLUSION"
    assert result.stdout == ""


def test_entry_beyond_the_head_is_not_found(run, log):
    """There is no proof of what has not been logged."""
    assert isinstance(run("leaf", 300, "--node", ZHEJIANG).exception, NotFoundError)


def test_entry_that_the_log_does_not_serve_is_not_found(run, log):
    """A head promises its entries; a log that does not serve them is told so."""
    log.tampered[str(Tile(ENTRIES, 0))] = None

    assert isinstance(run("leaf", 3, "--node", ZHEJIANG).exception, NotFoundError)


def test_leaf_is_printed_as_json_and_raw_as_the_bytes_that_are_hashed(run, log):
    """For people readable; for other tools the exact bytes."""
    assert json.loads(run("leaf", 3, "--node", ZHEJIANG).stdout)["seq"] == 4
    assert run("leaf", 3, "--node", ZHEJIANG, "--raw").stdout.encode() == log.entries[3]


def test_log_of_a_stranger_is_not_found(run):
    """Only the members have logs."""
    assert isinstance(run("checkpoint", "--node", "guangdong").exception, NotFoundError)


def test_log_that_cannot_be_reached_is_unavailable(run):
    """Nobody listens at the discard port."""
    result = run("checkpoint", "--node", ZHEJIANG, "--read-url", "http://127.0.0.1:9")

    assert isinstance(result.exception, UnavailableError)


def test_log_without_a_name_is_a_usage_error(run):
    """Which log, is for the caller to say."""
    assert run("checkpoint").exit_code == 2
