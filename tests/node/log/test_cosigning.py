"""Our own log before its witnesses: our own line, fresh lines for an idle log, what is a dispute and what is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

import pytest

from federation.node.exchange.send import send
from federation.node.log import boot
from federation.node.log.cosigning import HEARTBEAT, Cosigning
from federation.node.status import node_status
from federation.protocol.errors import CorruptError, NotFoundError, UnavailableError
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.tlog.quorum import verify_quorum
from federation.protocol.tlog.witness import Status
from federation.protocol.trust.witnesses import log_policy
from federation.wire.agency.node import NodeStatus
from federation.wire.read_client import WitnessClients
from tests.held_port import drip, held_port
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, Rig, draft

Post = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]


async def grow(rig: Rig, count: int = 1) -> None:
    for _ in range(count):
        await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)


def answering(status: int, body: bytes = b"") -> Post:
    async def post(_url: str, _body: bytes) -> tuple[int, bytes]:
        return status, body

    return post


def status(rig: Rig, cosigning: Cosigning) -> NodeStatus:
    parts = rig.hosts[ZHEJIANG].parts
    return node_status(parts.node, rig.hosts[ZHEJIANG].home, delivery=parts.delivery, cosigning=cosigning)


async def test_head_reaches_the_agreed_quorum_with_one_province_down(four: Rig) -> None:
    """Our own line counts: two of three peers and ourselves are three of four, by anybody's verifier."""
    await grow(four)
    await four.hosts[FUJIAN].crash()
    cosigning = four.cosigning()
    await cosigning.offer(four[ZHEJIANG].sequencer.head)

    policy = log_policy(four.agreement, ZHEJIANG)
    verified = verify_cosigned(
        cosigning.checkpoint(), policy.logs[0].vkey, witnesses=policy.witness_vkeys, not_after=four.clock()
    )
    assert verify_quorum(policy, verified.cosigner_keys)
    assert cosigning.quorum is not None
    assert (cosigning.quorum.is_met, cosigning.quorum.missing) == (True, ("fujian",))
    found = status(four, cosigning)
    assert found.quorum_met
    assert [(line.name, line.cosigned_size) for line in found.witnesses] == [
        (ZHEJIANG, 1), (ANHUI, 1), (FUJIAN, 0), (JIANGXI, 1)
    ]  # fmt: skip
    assert found.warnings == ()


async def test_witness_that_answers_without_end_holds_up_nobody(four: Rig) -> None:
    """One byte at a time from Jiangxi: its time is over, and the lines of the others make the quorum."""
    await grow(four)
    clients = WitnessClients(timeout_seconds=0.3)
    with held_port(0, drip) as port:

        async def post(url: str, body: bytes) -> tuple[int, bytes]:
            if url.startswith(four.agreement.members[JIANGXI].read_url):
                return await clients.post(f"http://127.0.0.1:{port}/witness", body)
            return await four.post_checkpoint(url, body)

        cosigning = four.cosigning(post=post)
        await cosigning.offer(four[ZHEJIANG].sequencer.head)
    clients.close()
    assert cosigning.quorum is not None
    assert (cosigning.quorum.is_met, cosigning.quorum.missing) == (True, ("jiangxi",))


async def test_witness_that_never_ends_is_silent(four: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the client below does, a round ends, for the check at the start as well."""
    monkeypatch.setattr(boot, "ANSWER_SECONDS", 0.01)
    await grow(four)

    async def never_ends(*_asked: str | bytes) -> Never:
        await asyncio.Event().wait()
        raise AssertionError

    cosigning = four.cosigning(post=never_ends)
    await cosigning.offer(four[ZHEJIANG].sequencer.head)
    assert (cosigning.quorum and cosigning.quorum.lines) == 1
    log = four.hosts[ZHEJIANG].parts.log
    finding = await boot.check_boot(log, four.agreement, ask=never_ends, now=four.clock())
    assert finding.silent == (ANHUI, FUJIAN, JIANGXI)


async def test_status_warns_when_the_quorum_is_not_reached(four: Rig) -> None:
    """Two provinces down: the log grows on, and who looks is told that nobody else can verify the new head."""
    await grow(four)
    for name in (FUJIAN, ANHUI):
        await four.hosts[name].crash()
    cosigning = four.cosigning()
    await cosigning.offer(four[ZHEJIANG].sequencer.head)

    found = status(four, cosigning)
    assert not found.quorum_met
    assert "2 of 4 cosignatures" in found.warnings[0]
    assert found.troubles == ()


async def test_idle_log_gets_fresh_lines_before_ten_minutes(four: Rig) -> None:
    """The heartbeat: the same head, everybody's line with a new time. Before it is due nobody is asked."""
    await grow(four)
    posted: list[str] = []

    async def post(url: str, body: bytes) -> tuple[int, bytes]:
        posted.append(url)
        return await four.post_checkpoint(url, body)

    cosigning = four.cosigning(post=post)
    head = four[ZHEJIANG].sequencer.head
    await cosigning.offer(head)
    posted.clear()
    four.clock.advance(seconds=HEARTBEAT.total_seconds() - 1)
    await cosigning.offer(head)
    assert (posted, cosigning._is_due(head)) == ([], False)

    beat = four.clock.advance(seconds=1)
    assert cosigning._is_due(head)
    await cosigning.offer(head)
    assert [line.time for line in cosigning.witnesses()] == [beat] * 4
    witnesses = [parse_vkey(member.witness_vkey) for member in four.agreement.members.values()]
    note = cosigning.checkpoint()
    vkey = four[ZHEJIANG].sequencer.vkey
    assert len(verify_cosigned(note, vkey, witnesses=witnesses, not_after=beat).cosignatures) == 4


async def test_same_head_within_a_minute_makes_the_witness_write_nothing(rig: Rig) -> None:
    """Anybody may repeat a public checkpoint: it is answered with the line that was given."""
    await grow(rig)
    notes: list[bytes] = []

    async def post(url: str, body: bytes) -> tuple[int, bytes]:
        answer = await rig.post_checkpoint(url, body)
        notes.append(answer[1])
        return answer

    for seconds in (0, 30, 60):
        rig.clock.advance(seconds=seconds)
        await rig.cosigning(post=post).offer(rig[ZHEJIANG].sequencer.head)
    lines = [note for note in notes if b"witness" in note]
    assert lines[0] == lines[1] != lines[2]


@pytest.mark.parametrize("told", [b"27\n", b"1\n"], ids=["larger", "of ours"])
async def test_size_of_a_409_is_never_what_is_cosigned(rig: Rig, told: bytes) -> None:
    """It says where a proof starts; nothing is shown as cosigned that no line covers."""
    await grow(rig, 2)
    cosigning = rig.cosigning(post=answering(Status.OTHER_SIZE, told))
    await cosigning.offer(rig[ZHEJIANG].sequencer.head)

    assert cosigning.cosigned_size(JIANGXI) == 0
    assert rig[ZHEJIANG].sequencer.failure is None


def disputed_by(rig: Rig, names: set[str]) -> Post:
    """Who is named refuses every head, whoever is not cosigns; the set may change between the rounds."""

    async def post(url: str, body: bytes) -> tuple[int, bytes]:
        if any(url.startswith(member.read_url) for name, member in rig.agreement.members.items() if name in names):
            return Status.INCONSISTENT, b""
        return await rig.post_checkpoint(url, body)

    return post


async def test_refusal_without_proof_of_one_is_told_and_stops_nobody(four: Rig) -> None:
    """One witness, or whoever stands on the line, must not be able to stop a province by a bare number."""
    await grow(four)
    cosigning = four.cosigning(post=disputed_by(four, {JIANGXI}))
    await cosigning.offer(four[ZHEJIANG].sequencer.head)

    found = status(four, cosigning)
    assert [cosigning.cosigned_size(name) for name in (JIANGXI, FUJIAN, ANHUI)] == [0, 1, 1]
    assert len(found.troubles) == 1
    assert "| the log is disputed: jiangxi disputes this log: it answered 422" in found.troubles[0]
    await grow(four)


async def test_refusal_of_one_beside_one_that_is_down_stops_nobody(four: Rig) -> None:
    """Silence is no dispute: the quorum is not reached, and that is a warning."""
    await grow(four)
    await four.hosts[FUJIAN].crash()
    cosigning = four.cosigning(post=disputed_by(four, {JIANGXI}))
    await cosigning.offer(four[ZHEJIANG].sequencer.head)
    assert not status(four, cosigning).quorum_met
    await grow(four)


async def test_so_many_refuse_that_no_quorum_is_left_and_the_writer_is_held(four: Rig) -> None:
    """Nothing is written and health says why; the round goes on and asks, and the writer is free when they agree again."""
    await grow(four)
    disputing: set[str] = {JIANGXI, FUJIAN, ANHUI}
    cosigning = four.cosigning(post=disputed_by(four, disputing))
    await cosigning.offer(four[ZHEJIANG].sequencer.head)

    found = status(four, cosigning)
    assert found.troubles[0].startswith("有争议的见证过多")
    assert "nothing is signed until they agree again: anhui, fujian, jiangxi dispute" in found.troubles[0]
    assert len(found.troubles) == 4
    assert cosigning.is_holding
    with pytest.raises(UnavailableError, match="LOG_UNCONFIRMED"):
        await grow(four)
    assert four[ZHEJIANG].sequencer.failure is None

    running = asyncio.create_task(cosigning.run(0.01))
    disputing.remove(JIANGXI)
    await until(lambda: len(cosigning.disputes()) == 2)
    assert cosigning.is_holding
    disputing.remove(FUJIAN)
    await until(lambda: not cosigning.is_holding)
    await grow(four)
    disputing.clear()
    await until(lambda: status(four, cosigning).troubles == ())
    running.cancel()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_refusal_with_a_head_of_another_history_stops_the_writer(rig: Rig) -> None:
    """The proof is our own key's: the first line of the status, and nothing is signed any more."""
    host = rig.hosts[ZHEJIANG]
    await host.close()
    backup = host.path.read_bytes()
    host.open()
    await grow(rig, 2)
    await rig.cosigning().offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    host.path.write_bytes(backup)
    (host.home / "heads").rename(host.home / "lost")
    host.open()
    await grow(rig)
    cosigning = rig.cosigning()
    await cosigning.offer(rig[ZHEJIANG].sequencer.head)

    assert "LOG_ROLLED_BACK" in status(rig, cosigning).troubles[0]
    with pytest.raises(CorruptError, match="LOG_STOPPED"):
        await grow(rig)
    assert list((host.home / "heads").glob("*.disputed"))


async def test_own_line_is_not_given_to_what_the_home_does_not_know(rig: Rig) -> None:
    """Our own witness has a memory of its own, and stops us like any other."""
    host = rig.hosts[ZHEJIANG]
    await host.close()
    backup = host.path.read_bytes()
    host.open()
    await grow(rig, 2)
    await rig.cosigning(post=unreachable).offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    host.path.write_bytes(backup)
    host.open()
    await grow(rig)
    cosigning = rig.cosigning(post=unreachable, ask=never)
    await cosigning.offer(rig[ZHEJIANG].sequencer.head)

    assert rig[ZHEJIANG].sequencer.failure is not None
    assert cosigning.checkpoint() == rig[ZHEJIANG].sequencer.head.note


async def unreachable(_url: str, _body: bytes) -> tuple[int, bytes]:
    raise UnavailableError("PEER_DOWN", "down")


async def never(_url: str, _origin: str) -> bytes:
    raise NotFoundError("NEVER_COSIGNED", "no")
