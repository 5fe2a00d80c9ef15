"""Witness duty: cosign what extends, refuse and keep what contradicts, remember before answering."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from federation.node.exchange.send import send
from federation.node.log.cosigning import Cosigning
from federation.protocol.errors import UnavailableError
from federation.protocol.ids import NodeName
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import Checkpoint, parse_note, parse_vkey, sign_checkpoint, verify_checkpoint
from federation.protocol.tlog.witness import AddCheckpoint, Status, WitnessAnswer, format_add_checkpoint
from federation.store.log_reader import consistency_proof
from federation.store.witness_state import find_witness_state, list_forks
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, Rig, draft, kit


def cosigning(rig: Rig, name: NodeName = ZHEJIANG, post=None) -> Cosigning:
    return rig.cosigning(name, post=post)


async def grow(rig: Rig, count: int = 1) -> None:
    for _ in range(count):
        await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)


def ask(
    rig: Rig, *, old: int, note: bytes, proof: tuple[bytes, ...] = (), witness: NodeName = JIANGXI
) -> WitnessAnswer:
    body = format_add_checkpoint(AddCheckpoint(old_size=old, proof=proof, note=note))
    return rig.hosts[witness].parts.witness.add_checkpoint(body)


def origin(rig: Rig) -> str:
    return rig[ZHEJIANG].sequencer.vkey.name


def forged(rig: Rig, size: int) -> bytes:
    log = kit().keyrings[ZHEJIANG].log
    checkpoint = Checkpoint(origin=log.vkey.name, size=size, root=hashlib.sha256(b"other").digest())
    return sign_checkpoint(checkpoint, log.vkey, sign=log.sign)


async def test_offer_brings_the_cosignatures_of_all_peers_onto_the_published_head(four: Rig) -> None:
    """The published checkpoint carries every witness's line on exactly this head."""
    await grow(four, 3)
    offering = cosigning(four)
    assert offering.checkpoint() == four[ZHEJIANG].sequencer.head.note

    await offering.offer(four[ZHEJIANG].sequencer.head)

    members = four.agreement.members
    peers = (JIANGXI, FUJIAN, ANHUI)
    witnesses = [parse_vkey(members[name].witness_vkey) for name in (ZHEJIANG, *peers)]
    vkey = four[ZHEJIANG].sequencer.vkey
    cosigned = verify_cosigned(offering.checkpoint(), vkey, witnesses=witnesses, not_after=four.clock())
    assert cosigned.cosigner_keys == {witness.public_key for witness in witnesses}
    assert [offering.cosigned_size(name) for name in peers] == [3, 3, 3]


async def test_published_head_without_fresh_cosignatures_is_bare(rig: Rig) -> None:
    """A cosignature belongs to one head: it is not shown on the next one."""
    await grow(rig)
    offering = cosigning(rig)
    await offering.offer(rig[ZHEJIANG].sequencer.head)
    await grow(rig)

    assert offering.checkpoint() == rig[ZHEJIANG].sequencer.head.note


async def test_offer_goes_on_from_what_the_witness_knows(rig: Rig) -> None:
    """After a restart nobody remembers what was offered: the witness says where to start the proof from."""
    await grow(rig, 5)
    await cosigning(rig).offer(rig[ZHEJIANG].sequencer.head)
    await grow(rig, 300)
    again = cosigning(rig)

    await again.offer(rig[ZHEJIANG].sequencer.head)

    state = find_witness_state(rig[JIANGXI].database, origin(rig))
    assert state is not None
    assert (state.size, again.cosigned_size(JIANGXI)) == (305, 305)


async def test_offer_to_a_peer_that_is_down_leaves_the_others(four: Rig) -> None:
    """It is asked again at the next tick."""
    await grow(four)
    await four.hosts[FUJIAN].crash()
    offering = cosigning(four)

    await offering.offer(four[ZHEJIANG].sequencer.head)

    assert [offering.cosigned_size(name) for name in (JIANGXI, FUJIAN, ANHUI)] == [1, 0, 1]


async def test_run_offers_when_the_log_grew_and_survives_an_unexpected_error(rig: Rig) -> None:
    """The duty goes on whatever the post raises."""
    posted = asyncio.Event()
    errors = iter([RuntimeError("unexpected"), UnavailableError("PEER_DOWN", "down")])

    async def post(read_url: str, body: bytes) -> tuple[int, bytes]:
        for error in errors:
            raise error
        answer = await rig.post_checkpoint(read_url, body)
        posted.set()
        return answer

    await grow(rig)
    offering = cosigning(rig, post=post)
    task = asyncio.create_task(offering.run(0.001))
    await asyncio.wait_for(posted.wait(), 60)
    while offering.cosigned_size(JIANGXI) != 1:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_add_checkpoint_remembers_before_it_answers(rig: Rig) -> None:
    """The state is durable: it is there after a crash of the witness, with log's and witness's line."""
    await grow(rig, 2)
    answer = ask(rig, old=0, note=rig[ZHEJIANG].sequencer.head.note)
    assert answer.status == Status.COSIGNED
    await rig.hosts[JIANGXI].crash()
    rig.hosts[JIANGXI].open()

    note = rig.hosts[JIANGXI].parts.witness.last_cosigned(hashlib.sha256(origin(rig).encode()).hexdigest())
    witness = parse_vkey(rig.agreement.members[JIANGXI].witness_vkey)
    vkey = rig[ZHEJIANG].sequencer.vkey
    cosigned = verify_cosigned(note, vkey, witnesses=[witness], not_after=rig.clock())
    assert cosigned.checkpoint.size == 2
    assert len(cosigned.cosignatures) == 1


async def test_add_checkpoint_of_another_root_of_the_same_size_refused_and_kept(rig: Rig) -> None:
    """Two heads of one size are the proof of a fork: never cosigned, never forgotten."""
    await grow(rig, 2)
    ask(rig, old=0, note=rig[ZHEJIANG].sequencer.head.note)
    fork = forged(rig, 2)

    for _ in range(2):
        assert ask(rig, old=2, note=fork).status == Status.INCONSISTENT

    (kept,) = list_forks(rig[JIANGXI].database, origin(rig))
    assert kept.size == 2
    log = rig[ZHEJIANG].sequencer.vkey
    assert [verify_checkpoint(note, log).root for note in kept.notes] == [
        rig[ZHEJIANG].sequencer.head.root,
        hashlib.sha256(b"other").digest(),
    ]
    state = find_witness_state(rig[JIANGXI].database, origin(rig))
    assert state is not None
    assert state.root == rig[ZHEJIANG].sequencer.head.root


async def test_add_checkpoint_that_does_not_extend_refused_and_no_evidence(rig: Rig) -> None:
    """A larger head needs a proof that it contains the one cosigned before; one that does not fit proves nothing."""
    await grow(rig, 2)
    ask(rig, old=0, note=rig[ZHEJIANG].sequencer.head.note)
    await grow(rig, 3)
    proof = consistency_proof(rig[ZHEJIANG].database, 2, 5)

    assert ask(rig, old=2, note=forged(rig, 5), proof=proof).status == Status.INCONSISTENT
    assert ask(rig, old=2, note=rig[ZHEJIANG].sequencer.head.note, proof=proof).status == Status.COSIGNED
    assert list_forks(rig[JIANGXI].database, origin(rig)) == []


async def test_add_checkpoint_from_another_size_is_told_the_known_one(rig: Rig) -> None:
    """409 with the size: the log starts its proof from there."""
    await grow(rig, 3)
    note = rig[ZHEJIANG].sequencer.head.note
    ask(rig, old=0, note=note)

    answer = ask(rig, old=1, note=note)

    assert (answer.status, answer.body) == (Status.OTHER_SIZE, b"3\n")


async def test_add_checkpoint_of_a_stranger_or_by_a_stranger_refused(rig: Rig) -> None:
    """Only logs of the agreement, only by their own key."""
    await grow(rig)
    other = kit().keyrings[FUJIAN].log
    head = rig[ZHEJIANG].sequencer.head
    unknown = Checkpoint(origin="evil.example/log", size=1, root=head.root)
    stranger = sign_checkpoint(
        unknown,
        type(other.vkey)(name="evil.example/log", kind=other.vkey.kind, public_key=other.vkey.public_key),
        sign=other.sign,
    )
    renamed = type(other.vkey)(name=origin(rig), kind=other.vkey.kind, public_key=other.vkey.public_key)
    by_fujian = sign_checkpoint(Checkpoint(origin=origin(rig), size=1, root=head.root), renamed, sign=other.sign)

    assert ask(rig, old=0, note=stranger).status == Status.UNKNOWN_LOG
    assert ask(rig, old=0, note=by_fujian).status == Status.NOT_SIGNED
    assert rig.hosts[JIANGXI].parts.witness.add_checkpoint(b"garbage").status == Status.MALFORMED
    assert find_witness_state(rig[JIANGXI].database, origin(rig)) is None


async def test_add_checkpoint_by_a_clock_before_the_last_line_refused(rig: Rig) -> None:
    """A witness never dates a line before its last one."""
    await grow(rig)
    ask(rig, old=0, note=rig[ZHEJIANG].sequencer.head.note)
    await grow(rig)
    rig.clock.time -= timedelta(minutes=5)
    proof = consistency_proof(rig[ZHEJIANG].database, 1, 2)

    assert ask(rig, old=1, note=rig[ZHEJIANG].sequencer.head.note, proof=proof).status == Status.NOT_NOW


async def test_add_checkpoint_by_many_at_once_cosigns_one_history(rig: Rig) -> None:
    """Two requests at once cannot both be cosigned unless one extends the other."""
    await grow(rig)
    first = rig[ZHEJIANG].sequencer.head.note
    fork = forged(rig, 1)

    answers = await asyncio.gather(
        *(asyncio.to_thread(ask, rig, old=0, note=note) for note in (first, fork) * 5), return_exceptions=True
    )

    cosigned = {index % 2 for index, answer in enumerate(answers) if answer.status == Status.COSIGNED}
    assert len(cosigned) == 1


async def test_last_cosigned_of_an_unknown_origin_is_none(rig: Rig) -> None:
    """A witness says nothing of logs that it never saw."""
    assert rig.hosts[JIANGXI].parts.witness.last_cosigned("ab" * 32) is None


@pytest.mark.parametrize("answer", [(500, b""), (200, b"garbage\n"), (409, b"x\n"), (200, b"")])
async def test_offer_takes_no_line_that_does_not_verify(rig: Rig, answer: tuple[int, bytes]) -> None:
    """What a witness answers is verified before it is published."""

    async def post(_read_url: str, _body: bytes) -> tuple[int, bytes]:
        return answer

    await grow(rig)
    offering = cosigning(rig, post=post)
    await offering.offer(rig[ZHEJIANG].sequencer.head)

    assert offering.cosigned_size(JIANGXI) == 0
    vkey = parse_vkey(rig.agreement.members[ZHEJIANG].witness_vkey)
    (_log, own) = parse_note(offering.checkpoint()).signatures
    assert (own.name, own.key_id) == (vkey.name, vkey.key_id)
