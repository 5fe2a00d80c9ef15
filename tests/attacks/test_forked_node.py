"""A node with two histories under one key: whoever hears both, or asks a witness, has the proof."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.audit.report import Code
from federation.audit.run import Audit, audit_federation
from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.protocol.errors import UntrustedError
from federation.protocol.receipt import Receipt
from federation.protocol.tlog.note import verify_checkpoint
from federation.protocol.tlog.proof import parse_proof
from federation.protocol.tlog.witness import AddCheckpoint, Status, WitnessAnswer, format_add_checkpoint
from federation.store.exchange_log import consistency_proof
from federation.store.messages import count_pending
from federation.store.witness_state import list_forks
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, Host, Rig, draft, kit, running_rig, submission
from tests.scenarios.check_federation import NodeStore


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path, (ZHEJIANG, JIANGXI, FUJIAN)) as made:
        yield made


@pytest.fixture
async def twin(rig: Rig) -> AsyncIterator[Host]:
    """A second Jiangxi: the same key, an equal store, from then on a history of its own."""
    other = Host(rig, JIANGXI, file="jiangxi-twin")
    other.open()
    yield other
    await other.close()


def offer(host: Host, to: Host, *, old: int) -> WitnessAnswer:
    head = host.node.sequencer.head
    proof = consistency_proof(host.node.database, old, head.size) if 0 < old < head.size else ()
    body = format_add_checkpoint(AddCheckpoint(old_size=old, proof=proof, note=head.note))
    return to.parts.witness.add_checkpoint(body)


def head_of(receipt: Receipt) -> bytes:
    return parse_proof(receipt.proof).checkpoint


async def test_two_receipts_of_one_size_prove_the_fork(rig: Rig, twin: Host) -> None:
    """Two senders who compare their receipts hold two signed heads of one size: nobody can deny that."""
    ours = await receive(rig[JIANGXI], submission(rig), peer=ZHEJIANG)
    theirs = await receive(twin.node, submission(rig), peer=ZHEJIANG)
    vkey = rig[JIANGXI].sequencer.vkey
    one, two = (verify_checkpoint(head_of(each), vkey) for each in (ours, theirs))
    rig[ZHEJIANG].heads.observe(JIANGXI, one)

    assert (one.size, one.origin) == (two.size, two.origin)
    assert one.root != two.root
    with pytest.raises(UntrustedError) as caught:
        rig[ZHEJIANG].heads.observe(JIANGXI, two)
    assert caught.value.reason == "LOG_FORKED"


async def test_delivery_to_a_forked_node_settles_nothing_more_and_keeps_the_proof(rig: Rig, twin: Host) -> None:
    """A receipt under the second history is no receipt: the message stays queued, the head is kept for the court."""
    first = await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    rig.start_delivery()
    assert await rig.hosts[ZHEJIANG].parts.delivery.wait_settled(first.value[1][0]) == "settled"
    honest, rig.hosts[JIANGXI] = rig.hosts[JIANGXI], twin
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    delivery = rig.hosts[ZHEJIANG].parts.delivery
    while "LOG_FORKED" not in (delivery.last_error(JIANGXI) or ""):
        delivery.wake(JIANGXI)
        await asyncio.sleep(0)

    (kept,) = list_forks(rig[ZHEJIANG].database, twin.node.sequencer.vkey.name)
    roots = {verify_checkpoint(note, twin.node.sequencer.vkey).root for note in kept.notes}
    assert (kept.size, len(roots)) == (1, 2)
    assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 1}
    rig.hosts[JIANGXI] = honest


@pytest.mark.parametrize("more", [0, 3], ids=["same size", "longer"])
async def test_witness_cosigns_one_history_and_keeps_the_proof(rig: Rig, twin: Host, more: int) -> None:
    """A witness that cosigned one history never cosigns the other, of whatever length; two heads of one size it keeps."""
    await receive(rig[JIANGXI], submission(rig), peer=ZHEJIANG)
    for number in range(more + 1):
        await receive(twin.node, submission(rig, seq=number + 1), peer=ZHEJIANG)
    witness = rig.hosts[FUJIAN]

    assert offer(rig.hosts[JIANGXI], witness, old=0).status == Status.COSIGNED
    assert offer(twin, witness, old=1).status == Status.INCONSISTENT

    kept = list_forks(witness.node.database, twin.node.sequencer.vkey.name)
    assert [each.notes[1] for each in kept] == ([twin.node.sequencer.head.note] if more == 0 else [])


async def test_audit_of_one_history_with_a_receipt_of_the_other_tells_the_fork(rig: Rig, twin: Host) -> None:
    """The auditor compares every head that anybody was shown with the log that is published."""
    await receive(rig[JIANGXI], submission(rig), peer=ZHEJIANG)
    await receive(twin.node, submission(rig), peer=ZHEJIANG)
    await receive(twin.node, submission(rig, seq=2), peer=ZHEJIANG)
    assert offer(rig.hosts[JIANGXI], rig.hosts[FUJIAN], old=0).status == Status.COSIGNED
    kept = [
        NodeStore(JIANGXI, twin.node.database, kit().keyrings[JIANGXI].log),
        NodeStore(FUJIAN, rig[FUJIAN].database, kit().keyrings[FUJIAN].log),
    ]

    audit = Audit(agreement=rig.agreement, sources={each.name: each for each in kept}, now=rig.clock)
    report = (await audit_federation(audit)).report

    assert not report.passed
    assert Code.LOG_FORKED in {finding.code for finding in report.findings}
