"""What ends leaves both provinces: by itself when the case closes, by order when it was sent in error; every log verifies."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.cli.permits import invent_one
from federation.cli.show import china_today
from federation.domain.lookups import Outcome
from federation.node.home.agreement import load_home_agreement
from federation.node.permits_sharing import PERMIT, SYNC
from federation.node.serve import Running, running_node, utc_now
from federation.protocol.ids import NodeName, Pair, parse_agency_id
from federation.protocol.leaf import LeafKind
from federation.store.log_reader import find_leaf
from federation.store.messages import StoredMessage, find_body, list_messages, load_body
from federation.store.records import find_record
from federation.wire.agency.erasure import (
    LIST_ERASURES,
    ORDER_ERASURE,
    ErasureLine,
    ErasureQuery,
    ErasureQuestion,
    ErasureState,
)
from federation.wire.agency.lookups import CLOSE_CASE, FETCH, LIST_LOOKUPS, READ_LOOKUP, LookupQuery
from federation.wire.agency.permits import REGISTER_PERMIT
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND
from tests.scenarios.test_lookup import Border, act, border

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
HALL = "zhejiang/330822/service-hall"


def sent(running: Running, kind: str) -> StoredMessage:
    """The newest message of a kind from Zhejiang to Jiangxi."""
    pair = Pair(ZHEJIANG, JIANGXI)
    found = list_messages(running.node.database, "sent", pair=pair, after_seq=0, limit=1000)
    return [message for message in found if message.kind == kind][-1]


def traces_of(home: Path, message_id: str) -> list[bytes]:
    """The very bytes in which a store keeps a body and its key."""
    with contextlib.closing(sqlite3.connect(f"file:{home}/node.db?mode=ro", uri=True)) as connection:
        statement = "SELECT content, key_id FROM message_body WHERE message_id = ?"
        content, key_id = connection.execute(statement, (message_id,)).fetchone()
    with contextlib.closing(sqlite3.connect(f"file:{home}/node.body_keys.db?mode=ro", uri=True)) as connection:
        return [content, *connection.execute("SELECT sealed_key FROM body_key WHERE id = ?", (key_id,)).fetchone()]


def files_of(home: Path) -> bytes:
    """All that a store has on disk: its two files, and their logs of recent writes."""
    return b"".join(path.read_bytes() for path in sorted(home.glob("node*.db*")))


async def until(holds: Callable[[], bool]) -> None:
    """Looks until something holds, as a person would."""
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def order_copy_erased(found: Border) -> tuple[StoredMessage, str, ErasureLine]:
    """A permit of somebody from Yushan is shared, then ordered erased; returns when the receipt has come."""
    zhejiang, jiangxi = found.running["zhejiang"].node, found.running["jiangxi"].node
    application = invent_one(parse_agency_id(HALL), household="361123", seed=3, today=china_today())
    async with found.federation.client(HALL) as hall:
        registered = await hall.call(REGISTER_PERMIT, act("permit.administration", "F02"), application)
        assert registered.permit is not None
        urn = registered.permit.urn
        await until(lambda: find_record(jiangxi.database, PERMIT, urn, replica=True) is not None)
        message = sent(found.running["zhejiang"], SYNC.name)
        traces = [
            trace for name in ("zhejiang", "jiangxi") for trace in traces_of(found.federation.home(name), message.id)
        ]
        acting, question = act("erasure.order", "F01"), ErasureQuestion(message_id=message.id, words="误发 in error")
        answer = await hall.call(ORDER_ERASURE, acting, question)
        assert answer.decision.allowed, answer.decision

        async def first() -> ErasureLine:
            return (await hall.call(LIST_ERASURES, acting, ErasureQuery())).lines[0]

        async with asyncio.timeout(60):
            while (line := await first()).state is not ErasureState.RECEIPTED:
                await asyncio.sleep(0.02)
    assert find_body(zhejiang.database, message.id) is None
    for node in (zhejiang, jiangxi):
        node.database.scrub()
    homes = [found.federation.home(name) for name in ("zhejiang", "jiangxi")]
    await until(lambda: not any(trace in files_of(home) for home in homes for trace in traces))
    return message, urn, line


async def test_release_and_order_leave_nothing_behind_and_every_log_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case closes: the asker destroys, the giver destroys; an order does the same; then all is checked and restarted."""
    monkeypatch.setenv("BRIDGEHEAD_RETENTION_SECONDS", "0.1")
    async with border(tmp_path) as found:
        zhejiang, jiangxi = found.running["zhejiang"].node, found.running["jiangxi"].node
        await found.open_case()
        hit = (await found.search(found.application.holder.citizen_number, "zhejiang"))["zhejiang"]
        assert hit.handle is not None
        released = await found.police.call(FETCH, act(), found.fetch_question(hit.handle))
        assert released.watermark is not None
        handed = [sent(found.running["zhejiang"], kind) for kind in ("lookup.release", "lookup.answer")]
        homes = [found.federation.home(name) for name in ("zhejiang", "jiangxi")]
        traces = [trace for home in homes for message in handed for trace in traces_of(home, message.id)]
        plain = [part for message in handed for body in [load_body(zhejiang.database, message.id)]
                 for part in (body.salt, *body.items)]  # fmt: skip
        assert all(any(trace in files_of(home) for home in homes) for trace in traces)

        await found.police.call(CLOSE_CASE, act(officer="leader-1"), "CASE-2026-0001")

        await until(
            lambda: all(
                find_leaf(node.database, LeafKind.ERASURE, message.digest) is not None
                for node in (zhejiang, jiangxi)
                for message in handed
            )
        )
        for node in (zhejiang, jiangxi):
            node.database.scrub()
        await until(lambda: not any(trace in files_of(home) for home in homes for trace in (*traces, *plain)))
        history = await found.police.call(LIST_LOOKUPS, act(), LookupQuery())
        result = await found.police.call(READ_LOOKUP, act(), history.lines[-2].lookup_id)
        fetch = next(step for step in result.steps if step.step == "lookup.fetch")
        assert fetch.outcome is Outcome.HIT
        assert fetch.decision is not None
        assert fetch.decision.policies == ("deny-reread-case-closed", "deny-reread-expired")
        assert (fetch.fields, fetch.erased is not None) == ({}, True)

        message, urn, line = await order_copy_erased(found)

        assert find_record(jiangxi.database, PERMIT, urn, replica=True) is None
        assert line.leaf_index == find_leaf(jiangxi.database, LeafKind.ERASURE, message.digest)
        kept = found.federation
        names = (found.application.holder.name, found.application.holder.citizen_number)
        assert not any(text.encode() in files_of(home) for home in homes for text in names)
    agreement = load_home_agreement(kept.home("zhejiang"), now=utc_now())
    with kept_homes({name: kept.home(name) for name in kept.homes}) as stores:
        await check_federation(stores, agreement, now=utc_now())
    first, second = (running_node(kept.home(name), island=ISLAND) for name in ("zhejiang", "jiangxi"))
    async with first, second as again:
        assert again.node.sequencer.failure is None  # the boot check against the peers' cosignatures passed
