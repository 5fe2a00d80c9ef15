"""A node with two histories under one key: whoever hears both, or asks a witness, has the proof."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.audit.report import Code
from federation.audit.run import Audit, audit_federation
from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.node.log.boot import leaf_entry
from federation.node.log.check import check_start, check_store
from federation.node.node import plain_leaf
from federation.protocol.errors import CorruptError, UntrustedError
from federation.protocol.leaf import LeafKind
from federation.protocol.receipt import Receipt
from federation.protocol.tlog.note import verify_checkpoint
from federation.protocol.tlog.proof import parse_proof
from federation.protocol.tlog.witness import AddCheckpoint, Status, WitnessAnswer, format_add_checkpoint
from federation.store.log_reader import consistency_proof
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


@pytest.fixture
async def forked(rig: Rig, twin: Host) -> Host:
    """A witness that has cosigned one history, and holds the proof that there is another."""
    await receive(rig[JIANGXI], submission(rig), peer=ZHEJIANG)
    await receive(twin.node, submission(rig), peer=ZHEJIANG)
    witness = rig.hosts[FUJIAN]
    assert offer(rig.hosts[JIANGXI], witness, old=0).status == Status.COSIGNED
    assert offer(twin, witness, old=1).status == Status.INCONSISTENT
    return witness


def write(host: Host, *statements: str) -> None:
    """What an administrator of the machine does with any tool, in the real file."""
    with closing(sqlite3.connect(host.path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def grow(host: Host) -> None:
    subject = hashlib.sha256(str(host.node.sequencer.head.size).encode()).hexdigest()
    leaf = plain_leaf(host.node.trust.in_force.agreement, LeafKind.BOOT, subject, now=host.node.now())
    await host.node.sequencer.commit(lambda tx: tx.append_leaf(*leaf_entry(leaf)))


def named(host: Host) -> set[tuple[str, str]]:
    """What `node check` names; the start names as much, since it reads all that a witness remembers."""
    agreement = host.node.trust.in_force.agreement
    found = {(each.what, each.kind) for each in check_store(host.node.database, agreement).findings}
    assert found == {(each.what, each.kind) for each in check_start(host.node.database, agreement)}
    return found


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (["DELETE FROM log_fork"], ("missing", "log-fork")),
        (["DELETE FROM witness_head"], ("missing", "witness-head")),
        (["UPDATE log_fork SET second_note = first_note"], ("changed", "log-fork")),
        (["UPDATE witness_head SET size = 0"], ("changed", "witness-head")),
        (["UPDATE log_fork SET origin = 'x'"], ("changed", "log-fork")),
        (["UPDATE log_fork SET first_note = CAST(first_note AS TEXT)"], ("changed", "log-fork")),
        (["INSERT INTO log_fork SELECT origin, 7, first_note, second_note, 0 FROM log_fork"], ("extra", "log-fork")),
        (["DELETE FROM log_fork", "DELETE FROM counter WHERE name LIKE '%/w/log-fork/0'"], ("changed", "sums")),
    ],
    ids=lambda value: "; ".join(value) if isinstance(value, list) else None,
)
async def test_what_a_witness_remembers_is_named_when_it_is_changed(
    forked: Host, change: list[str], finding: tuple[str, str]
) -> None:
    """The proof of a fork, and the head that was cosigned, whoever takes them away; an honest node has no finding."""
    assert named(forked) == set()

    write(forked, *change)

    assert finding in named(forked)


async def test_rows_of_a_witness_that_were_set_back_with_their_sums_are_found(rig: Rig, twin: Host) -> None:
    """All that was there before the proof was kept, beside the log of today; what comes after marks nothing anew."""
    await receive(rig[JIANGXI], submission(rig), peer=ZHEJIANG)
    await receive(twin.node, submission(rig), peer=ZHEJIANG)
    witness, tables = rig.hosts[FUJIAN], ("log_fork", "counter")
    offer(rig.hosts[JIANGXI], witness, old=0)
    with closing(sqlite3.connect(witness.path)) as connection:
        older = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    offer(twin, witness, old=1)
    await grow(witness)
    with closing(sqlite3.connect(witness.path)) as connection:
        for name, rows in older.items():
            connection.execute(f"DELETE FROM {name}")
            for row in rows:
                connection.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()

    assert ("older", "sums") in named(witness)
    await receive(rig[JIANGXI], submission(rig, seq=2), peer=ZHEJIANG)
    assert offer(rig.hosts[JIANGXI], witness, old=1).status == Status.COSIGNED
    await grow(witness)
    assert ("older", "sums") in named(witness)


async def test_witness_whose_rows_were_changed_cosigns_nothing(rig: Rig, twin: Host, forked: Host) -> None:
    """Nor does it say that it never cosigned that log, which whoever asks at a start would count."""
    origin = hashlib.sha256(twin.node.sequencer.vkey.name.encode()).hexdigest()
    assert forked.parts.witness.last_cosigned(origin) is not None

    write(forked, "DELETE FROM witness_head")

    answer = offer(twin, forked, old=0)
    assert (answer.status, b"witness-head missing" in answer.body) == (Status.NOT_NOW, True)
    with pytest.raises(CorruptError) as caught:
        forked.parts.witness.last_cosigned(origin)
    assert caught.value.reason == "WITNESS_ROWS"


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
