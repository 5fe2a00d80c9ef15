"""A stranger with no certificate posts to a witness: public heads with lines of his own, invented proofs, without end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from federation.node.exchange.send import send
from federation.node.ports import read_functions
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.tlog.witness import AddCheckpoint, format_add_checkpoint
from federation.store.witness_state import list_forks
from federation.wire.limits import POSTS_A_MINUTE
from federation.wire.read_client import ReadClient
from federation.wire.read_http import read_app, serve_http
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, draft, running_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path) as made:
        yield made


@pytest.fixture
async def stranger(rig: Rig) -> AsyncIterator[ReadClient]:
    """The way of anybody to Jiangxi's witness."""
    parts = rig.hosts[JIANGXI].parts
    functions = read_functions(parts.node, witness=parts.witness, cosigning=parts.cosigning)
    http = await serve_http(read_app(functions), host="127.0.0.1", port=0)
    client = ReadClient(f"http://127.0.0.1:{http.port}/witness")
    yield client
    client.close()
    await http.stop()


async def test_lines_of_a_stranger_are_neither_kept_nor_served(rig: Rig, stranger: ReadClient) -> None:
    """What Jiangxi serves of Zhejiang's log verifies for everybody, whoever posted it."""
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    lines = b"".join(b"\xe2\x80\x94 stranger%d/witness AAAAAAAA\n" % number for number in range(63))
    note = rig[ZHEJIANG].sequencer.head.note + lines
    status, _ = await stranger.add_checkpoint(b"old 0\n\n" + note)
    assert status == 200

    vkey = rig[ZHEJIANG].sequencer.vkey
    served = await stranger.last_cosigned(vkey.name)
    witness = parse_vkey(rig.agreement.members[JIANGXI].witness_vkey)
    assert len(verify_cosigned(served, vkey, witnesses=[witness], not_after=rig.clock()).cosignatures) == 1
    assert b"stranger" not in served


async def test_posts_without_end_leave_nothing_behind_and_are_cut_off(rig: Rig, stranger: ReadClient) -> None:
    """Random proofs of an honest head are no evidence; the store does not grow; beyond the bound nothing is read."""
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    await rig.cosigning().offer(rig[ZHEJIANG].sequencer.head)
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    head, database = rig[ZHEJIANG].sequencer.head, rig[JIANGXI].database
    size = rig.hosts[JIANGXI].path.stat().st_size

    answers = []
    for _ in range(POSTS_A_MINUTE + 200):
        body = format_add_checkpoint(AddCheckpoint(old_size=1, proof=(os.urandom(32),), note=head.note))
        answers.append((await stranger.add_checkpoint(body))[0])
        if answers[-1] == 429:
            break

    assert set(answers[:-1]) == {422}
    assert answers[-1] == 429
    assert list_forks(database, rig[ZHEJIANG].sequencer.vkey.name) == []
    assert rig.hosts[JIANGXI].path.stat().st_size == size
    assert rig.hosts[JIANGXI].parts.witness.last_cosigned(
        sha256(rig[ZHEJIANG].sequencer.vkey.name.encode()).hexdigest()
    )
