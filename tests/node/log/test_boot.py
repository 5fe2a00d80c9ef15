"""The check before anything is signed: enough witnesses confirmed our history, and nobody knows another."""

from __future__ import annotations

import shutil
from hashlib import sha256

import pytest

from federation.node.exchange.send import send
from federation.node.log.boot import ISLAND, AskCosigned, BootFinding, agreement_leaf, boot_leaf, check_boot
from federation.node.log.cosigning import Cosigning
from federation.node.serve import boot_node
from federation.protocol.errors import CorruptError, NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import LeafKind, decode_leaf, encode_leaf
from federation.store.log_reader import load_entries
from federation.wire.read_client import ReadClient
from tests.held_port import held_port, saying
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, START, ZHEJIANG, Rig, draft, kit


def cosigning(rig: Rig, name: NodeName = ZHEJIANG) -> Cosigning:
    return rig.cosigning(name)


async def grow(rig: Rig, count: int = 1) -> None:
    for _ in range(count):
        await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)


async def check(rig: Rig, ask: AskCosigned | None = None) -> BootFinding:
    return await check_boot(rig.hosts[ZHEJIANG].parts.log, rig.agreement, ask=ask or rig.ask_cosigned, now=rig.clock())


def fujian_at(rig: Rig, port: int) -> AskCosigned:
    """Asks Fujian over real HTTP at that port, the others in this process."""

    async def ask(url: str, origin: str) -> bytes:
        if not url.startswith(rig.agreement.members[FUJIAN].read_url):
            return await rig.ask_cosigned(url, origin)
        client = ReadClient(f"http://127.0.0.1:{port}/witness")
        try:
            return await client.last_cosigned(origin)
        finally:
            client.close()

    return ask


async def set_back(rig: Rig) -> None:
    """Zhejiang's database is older than what was cosigned; what the home knows beside it is gone as well."""
    host = rig.hosts[ZHEJIANG]
    await grow(rig, 2)
    await host.close()
    shutil.copyfile(host.path, host.path.with_suffix(".backup"))
    host.open()
    await grow(rig, 3)
    await cosigning(rig).offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    shutil.copyfile(host.path.with_suffix(".backup"), host.path)
    shutil.rmtree(host.home)
    host.open()


async def test_boot_of_a_new_log_is_confirmed_by_peers_that_never_cosigned_it(four: Rig) -> None:
    """They answer, and that counts: four nodes that start together confirm each other."""
    found = await check(four)
    assert (found.never, found.confirmed, found.silent) == ((ANHUI, FUJIAN, JIANGXI), (), ())
    assert found.is_enough


async def test_boot_after_cosigning_is_confirmed_by_all(four: Rig) -> None:
    """Our tree extends what the peers saw last."""
    await grow(four)
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    await grow(four, 3)

    assert (await check(four)).confirmed == (ANHUI, FUJIAN, JIANGXI)


@pytest.mark.parametrize(("down", "enough"), [((FUJIAN,), True), ((FUJIAN, ANHUI), False)])
async def test_boot_needs_so_many_that_no_quorum_was_missed(
    four: Rig, down: tuple[NodeName, ...], enough: bool
) -> None:
    """A head that counts has the lines of two peers: of three, two must have answered. Silence is no answer."""
    await grow(four)
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    for name in down:
        await four.hosts[name].crash()
    found = await check(four)

    assert found.silent == tuple(sorted(down))
    assert found.is_enough is enough


async def test_boot_with_a_store_from_a_backup_refused_and_the_proof_kept(rig: Rig) -> None:
    """A restored backup would sign a second history: it is refused, then and at the next start, peers or not."""
    host = rig.hosts[ZHEJIANG]
    await set_back(rig)
    with pytest.raises(CorruptError) as caught:
        await boot_node(host.parts, ask=rig.ask_cosigned)
    assert caught.value.reason == "LOG_ROLLED_BACK"
    assert "jiangxi cosigned 5 entries" in caught.value.message
    assert rig[ZHEJIANG].sequencer.head.size == 2

    with pytest.raises(CorruptError, match="LOG_ROLLED_BACK"):
        await boot_node(host.parts, ask=nobody, island="the operator of Zhejiang: all the others are down")
    assert rig[ZHEJIANG].sequencer.head.size == 2


async def test_boot_with_a_database_older_than_the_home_knows_refused_without_any_peer(rig: Rig) -> None:
    """The newest head that we cosigned ourselves lies outside the database."""
    host = rig.hosts[ZHEJIANG]
    await grow(rig, 2)
    await host.close()
    backup = host.path.read_bytes()
    host.open()
    await grow(rig, 3)
    await rig.cosigning(post=cut).offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    host.path.write_bytes(backup)
    host.open()

    with pytest.raises(CorruptError, match="LOG_ROLLED_BACK"):
        await check(rig, nobody)


async def test_boot_with_another_history_of_the_same_length_refused(rig: Rig) -> None:
    """A fork of the log is caught by its root."""
    host = rig.hosts[ZHEJIANG]
    await host.close()
    backup = host.path.read_bytes()
    host.open()
    await grow(rig, 2)
    await cosigning(rig).offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    host.path.write_bytes(backup)
    shutil.rmtree(host.home)
    host.open()
    await grow(rig, 4)

    with pytest.raises(CorruptError) as caught:
        await check(rig)

    assert caught.value.reason == "LOG_FORKED"


async def test_boot_answer_that_cannot_be_read_is_a_refusal(four: Rig) -> None:
    """Two others confirm, and still: who answers must answer with a head of ours and its own line on it."""
    await grow(four)
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    note = four[ZHEJIANG].sequencer.head.note
    poisoned = note + b"".join(b"\xe2\x80\x94 stranger%d AAAAAAAA\n" % number for number in range(65))
    for answer in (note, b"hello\n", poisoned):

        async def odd(url: str, origin: str, answer: bytes = answer) -> bytes:
            is_fujian = url.startswith(four.agreement.members[FUJIAN].read_url)
            return answer if is_fujian else await four.ask_cosigned(url, origin)

        found = await check(four, odd)
        assert (found.confirmed, list(found.unreadable)) == ((ANHUI, JIANGXI), [FUJIAN])
        assert not found.is_enough
        assert "fujian cannot be read" in str(found)


@pytest.mark.parametrize("status", ["500 Internal Server Error", "302 Found", "404 Not Found", "410 Gone"])
async def test_boot_page_of_whatever_stands_there_is_a_refusal(four: Rig, status: str) -> None:
    """A server that answers is not silent, and a bare 404 is nobody's word that we were never cosigned."""
    with held_port(0, saying(b"<html>nothing here</html>\n", status=status)) as port:
        found = await check(four, fujian_at(four, port))
    assert (found.never, found.unreadable) == (
        (ANHUI, JIANGXI),
        {FUJIAN: "FILE_MISSING" if status.startswith("404") else "READ_STATUS"},
    )
    assert not found.is_enough


@pytest.mark.parametrize("status", ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable"])
async def test_boot_peer_that_cannot_answer_now_is_silent(four: Rig, status: str) -> None:
    """A node that is down behind a proxy keeps nobody from starting by the word of the others."""
    with held_port(0, saying(b"not now\n", status=status)) as port:
        found = await check(four, fujian_at(four, port))
    assert (found.never, found.silent, found.is_enough) == ((ANHUI, JIANGXI), (FUJIAN,), True)


async def test_boot_own_words_of_a_peer_count(four: Rig) -> None:
    """The very text that a node serves."""
    with held_port(0, saying(b"this witness has cosigned none [NEVER_COSIGNED]\n", status="404 Not Found")) as port:
        found = await check(four, fujian_at(four, port))
    assert (found.never, found.is_enough) == ((ANHUI, FUJIAN, JIANGXI), True)


async def test_boot_witness_that_forgot_what_it_cosigned_is_not_counted(four: Rig) -> None:
    """The home holds the line of each witness: one that says now that it never cosigned us has lost its memory."""
    await grow(four)
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)

    async def never(_url: str, _origin: str) -> bytes:
        raise NotFoundError("NEVER_COSIGNED", "no")

    found = await check(four, never)
    assert (found.never, found.unreadable[JIANGXI]) == ((), "COSIGNED_FORGOTTEN")
    assert not found.is_enough


async def test_boot_node_writes_nothing_until_enough_confirmed(four: Rig) -> None:
    """Held: no leaf, no job of anybody. The first leaf after it is the boot leaf's, whatever waits."""
    node = four[ZHEJIANG]
    node.sequencer.hold("not confirmed")
    assert not (await boot_node(four.hosts[ZHEJIANG].parts, ask=nobody)).is_enough
    with pytest.raises(UnavailableError, match="LOG_UNCONFIRMED"):
        await send(node, [draft()], rows=lambda _tx: None)
    assert (node.sequencer.head.size, node.sequencer.held) == (0, "not confirmed")

    assert (await boot_node(four.hosts[ZHEJIANG].parts, ask=four.ask_cosigned)).is_enough
    await send(node, [draft()], rows=lambda _tx: None)
    kinds = [decode_leaf(entry).kind for entry in load_entries(node.database, 0, node.sequencer.head.size)]
    assert kinds == [LeafKind.AGREEMENT, LeafKind.BOOT, LeafKind.SENT]


async def test_node_that_is_not_confirmed_cosigns_nobody(four: Rig) -> None:
    """Its memory of the others may be as old as its own log."""
    await grow(four)
    four[JIANGXI].sequencer.hold("not confirmed")
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    assert four.hosts[JIANGXI].parts.witness.last_cosigned(origin_hash(four)) is None
    four[JIANGXI].sequencer.stop(CorruptError("LOG_ROLLED_BACK", "older"))
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    assert four.hosts[JIANGXI].parts.witness.last_cosigned(origin_hash(four)) is None


async def test_boot_node_with_an_operator_who_vouches_starts_and_says_so(four: Rig) -> None:
    """An island writes, and every auditor sees a `boot` leaf that says on whose word."""
    node = four[ZHEJIANG]
    node.sequencer.hold("not confirmed")
    await boot_node(four.hosts[ZHEJIANG].parts, ask=nobody, island="duty officer 7: the trunk line is cut")

    (_agreement, boot) = [decode_leaf(entry) for entry in load_entries(node.database, 0, 2)]
    assert (boot.kind, boot.reason) == (LeafKind.BOOT, ISLAND)

    four.clock.advance(seconds=1)
    await boot_node(four.hosts[ZHEJIANG].parts, ask=four.ask_cosigned, island="not needed")
    assert decode_leaf(load_entries(node.database, 2, 1)[0]).reason is None


async def test_boot_node_logs_agreement_and_boot_with_who_confirmed(four: Rig) -> None:
    """From here on this process signs; the agreement in force stands once, however often the node starts."""
    for _ in range(2):
        await boot_node(four.hosts[ZHEJIANG].parts, ask=four.ask_cosigned)
        four.clock.advance(seconds=1)

    entries = load_entries(four[ZHEJIANG].database, 0, four[ZHEJIANG].sequencer.head.size)
    kinds = [decode_leaf(entry).kind for entry in entries]
    assert kinds == [LeafKind.AGREEMENT, LeafKind.BOOT, LeafKind.BOOT]
    assert decode_leaf(entries[0]).subject == four.agreement.digest


def test_boot_leaf_differs_by_who_confirmed() -> None:
    """The leaf commits to the finding."""
    agreement = kit().agreement
    some = BootFinding(needed=2, confirmed=(JIANGXI,), silent=(FUJIAN, ANHUI))
    none = BootFinding(needed=2, silent=(JIANGXI, FUJIAN, ANHUI))
    leaves = [boot_leaf(agreement, size=1, finding=finding, now=START) for finding in (some, none)]

    assert leaves[0].subject != leaves[1].subject
    assert replace(leaves[0], subject=leaves[1].subject) == leaves[1]
    assert encode_leaf(agreement_leaf(agreement, now=START))


async def nobody(_url: str, _origin: str) -> bytes:
    raise UnavailableError("PEER_DOWN", "down")


async def cut(_url: str, _body: bytes) -> tuple[int, bytes]:
    raise UnavailableError("PEER_DOWN", "down")


def origin_hash(rig: Rig) -> str:
    return sha256(rig[ZHEJIANG].sequencer.vkey.name.encode()).hexdigest()
