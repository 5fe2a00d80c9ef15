"""A province that is down for longer than a statement lives: nothing that it must have is lost for having waited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from federation.audit.report import Report
from federation.domain.permits import PermitApplication, PermitUrn, RevokeReason, decode_permit_item
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.send import send
from federation.node.retention import destroy_ended
from federation.node.status import node_status
from federation.protocol.form import replace
from federation.protocol.ids import Pair, Realm
from federation.protocol.leaf import LeafKind
from federation.store.log_reader import find_leaf
from federation.store.messages import StoredMessage, find_outbox_state, list_messages
from federation.store.records import find_record
from federation.wire.agency.permits import PermitRevocation
from tests.node.rig import HALL, JIANGXI, ZHEJIANG, Rig, act, application, draft, running_rig
from tests.scenarios.check_federation import NodeStore, check_federation

PAIR = Pair(ZHEJIANG, JIANGXI)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path) as made:
        made.start_delivery()
        yield made


async def registered(rig: Rig, applicant: PermitApplication | None = None) -> PermitUrn:
    answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), applicant or application())
    assert answer.permit is not None, answer.decision
    return answer.permit.urn


async def revoke(rig: Rig, urn: PermitUrn) -> None:
    revocation = PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
    await permits.revoke(begin_errand(rig[ZHEJIANG], HALL, act()), revocation)


async def away(rig: Rig, *, days: float) -> None:
    """So many days pass; the agreement is renewed meanwhile, and the sender looks at its queue."""
    rig.clock.advance(days=days)
    until = rig.clock() + timedelta(days=30)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=until, expires_time=until))
    rig[ZHEJIANG].wake_delivery(JIANGXI)
    await rig.drain()
    await destroy_ended(rig[ZHEJIANG])


def sent(rig: Rig) -> list[StoredMessage]:
    return list_messages(rig[ZHEJIANG].database, "sent", pair=PAIR, after_seq=0, limit=99)


def states(rig: Rig) -> list[str | None]:
    return [find_outbox_state(rig[ZHEJIANG].database, message.id) for message in sent(rig)]


def version_at_jiangxi(rig: Rig, urn: PermitUrn) -> int | None:
    record = find_record(rig[JIANGXI].database, "permit", urn, replica=True)
    return decode_permit_item(record.content, Realm.DEMO).version if record is not None else None


def warnings(rig: Rig) -> list[str]:
    host = rig.hosts[ZHEJIANG]
    assert host.parts is not None
    parts = host.parts
    found = node_status(parts.node, host.home, delivery=parts.delivery, cosigning=parts.cosigning).warnings
    return [warning for warning in found if "在途过期" in warning]


async def audited(rig: Rig) -> Report:
    kept = [NodeStore(name, host.node.database, host.keyring.log) for name, host in rig.hosts.items()]
    return await check_federation(kept, rig.agreement, now=rig.clock())


@pytest.mark.parametrize("days", [4, 40, 400])
async def test_permit_for_a_province_that_was_down_arrives_in_its_newest_form(rig: Rig, days: int) -> None:
    """Counted by the status until it has arrived; both statements in both logs, and no chain of them meanwhile."""
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    urn = await registered(rig)
    await away(rig, days=days / 2 + 2)
    await revoke(rig, urn)
    await away(rig, days=days / 2 + 2)

    assert len(sent(rig)) == 2
    assert warnings(rig)[0].endswith(": 2")
    assert version_at_jiangxi(rig, urn) is None

    await rig.restore(ZHEJIANG, JIANGXI)
    await destroy_ended(rig[ZHEJIANG])
    await rig.drain()

    assert version_at_jiangxi(rig, urn) == 2
    assert states(rig) == ["expired", "expired", "settled"]
    assert warnings(rig) == []
    report = await audited(rig)
    (line,) = [line for line in report.pairs if line.pair == PAIR]
    assert (line.sent, line.expired, line.received, line.receipts) == (3, 2, 1, 1)
    database, (first, second, anew) = rig[ZHEJIANG].database, sent(rig)
    assert find_leaf(database, LeafKind.EXPIRED, first.digest) is not None
    assert find_leaf(database, LeafKind.EXPIRED, second.digest) is not None
    assert find_leaf(rig[JIANGXI].database, LeafKind.RECEIVED, anew.digest) is not None


async def test_what_went_out_in_a_newer_version_is_not_said_again(rig: Rig) -> None:
    """The first version expired, the second got through: one message more would say what is known."""
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    urn = await registered(rig)
    await away(rig, days=4)
    await revoke(rig, urn)
    await rig.restore(ZHEJIANG, JIANGXI)
    await destroy_ended(rig[ZHEJIANG])
    await rig.drain()

    assert version_at_jiangxi(rig, urn) == 2
    assert states(rig) == ["expired", "settled"]


async def test_what_the_peer_had_before_it_went_away_is_settled_and_not_said_again(rig: Rig) -> None:
    """Its answer was lost: asked after the time, it gives the receipt of then."""
    rig.faults(ZHEJIANG, JIANGXI).drop_answers = 10**6
    urn = await registered(rig)
    while version_at_jiangxi(rig, urn) is None:
        await asyncio.sleep(0.001)
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    await away(rig, days=4)
    rig.faults(ZHEJIANG, JIANGXI).drop_answers = 0
    await rig.restore(ZHEJIANG, JIANGXI)
    await destroy_ended(rig[ZHEJIANG])

    assert states(rig) == ["settled"]


async def test_what_policy_shares_no_more_is_not_said_again(rig: Rig) -> None:
    """Withdrawn by an erasure on its way, or never ours: nothing of it leaves."""
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)  # a permit that this province holds no longer
    await away(rig, days=4)
    await rig.restore(ZHEJIANG, JIANGXI)
    await destroy_ended(rig[ZHEJIANG])

    assert states(rig) == ["expired"]
    assert warnings(rig) == []
