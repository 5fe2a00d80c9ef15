"""The whole path: a permit registered in Changshan arrives in Yushan, signed, decided, logged on both sides."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

from federation.cli.demo.synthetic import synthetic_applications
from federation.node.home.agreement import load_home_agreement
from federation.node.node import CHINA
from federation.node.serve import Running, running_node, utc_now
from federation.wire.agency.node import GET_STATUS
from federation.wire.agency.permits import GET_PERMIT, REGISTER_PERMIT
from federation.wire.rpc import Act, Nothing
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND, make_federation


def act(purpose: str, function: str) -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer="officer-1")


async def test_permit_registered_in_changshan_arrives_in_yushan(tmp_path: Path) -> None:
    """居住证暂行条例 article 7: the household province gets the permit with the entitled fields, and only those."""
    federation = make_federation(tmp_path)
    today = utc_now().astimezone(CHINA).date()
    application = next(
        found
        for found in synthetic_applications("zhejiang", 500, seed=1, today=today)
        if found.residence_division == "330822"
        and found.holder.household_division == "361123"
        and not found.sealed
        and not found.guardian
    )
    async with contextlib.AsyncExitStack() as stack:
        running: dict[str, Running] = {}
        for name in federation.homes:
            running[name] = await stack.enter_async_context(running_node(federation.home(name), island=ISLAND))
        hall = await stack.enter_async_context(federation.client("zhejiang/330822/service-hall"))
        police = await stack.enter_async_context(federation.client("jiangxi/361123/police"))

        registered = await hall.call(REGISTER_PERMIT, act("permit.administration", "F02"), application)
        assert registered.decision.allowed, registered.decision
        assert registered.permit is not None
        status = await hall.call(GET_STATUS, None, Nothing())
        while any(peer.waiting_count for peer in status.peers):
            status = await hall.call(GET_STATUS, None, Nothing())
        shown = await police.call(GET_PERMIT, act("permit.check", "F03"), registered.permit.urn)

        assert shown.permit is not None, shown.decision
        assert shown.permit.citizen_number == application.holder.citizen_number
        assert shown.permit.ethnicity is None

    agreement = load_home_agreement(federation.home("zhejiang"), now=utc_now())
    with kept_homes({name: federation.home(name) for name in federation.homes}) as kept:
        await check_federation(kept, agreement, now=utc_now())
