"""A wrong record is corrected by its owner: filed in Jiangxi, granted in Zhejiang, and every holder's copy follows."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from pathlib import Path

from federation.cli.demo.synthetic import synthetic_applications
from federation.node.home.agreement import load_home_agreement
from federation.node.node import CHINA
from federation.node.serve import running_node, utc_now
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.wire.agency.corrections import (
    EXTEND_CORRECTION,
    FILE_CORRECTION,
    GRANT_CORRECTION,
    LIST_CORRECTIONS,
    CorrectionExtension,
    CorrectionFiling,
    CorrectionQuery,
    CorrectionStanding,
    CorrectionStep,
)
from federation.wire.agency.node import GET_STATUS
from federation.wire.agency.permits import GET_PERMIT, REGISTER_PERMIT
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act, Nothing
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND, make_federation

CHECK = ("permit.check", "F03")
CORRECT = ("subject.correct", "F01")
NAME = "徐谷语"
LOOK_SECONDS = 0.02


def act(purpose: str, function: str) -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer="officer-1")


async def delivered(hall: AgencyClient) -> None:
    """Returns when nothing waits to be delivered by Zhejiang's node."""
    while any(peer.waiting_count for peer in (await hall.call(GET_STATUS, None, Nothing())).peers):
        await asyncio.sleep(LOOK_SECONDS)


async def test_correction_filed_in_jiangxi_and_granted_in_zhejiang_reaches_every_holder(tmp_path: Path) -> None:
    """Household and work province get the new version, also after an outage; who loses its right to it gets a notice."""
    federation = make_federation(tmp_path)
    today = utc_now().astimezone(CHINA).date()
    application = next(
        replace(found, work_division="350722")
        for found in synthetic_applications("zhejiang", 2000, seed=1, today=today)
        if found.residence_division == "330822" and found.holder.household_division == "361123"
        and not found.sealed and not found.guardian
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        for name in federation.homes:
            if name != "fujian":
                await stack.enter_async_context(running_node(federation.home(name), island=ISLAND))
        hall, filing_hall, police, xiuning = [
            await stack.enter_async_context(federation.client(agency))
            for agency in (
                "zhejiang/330822/service-hall", "jiangxi/361123/service-hall", "jiangxi/361123/police",
                "anhui/341022/police",
            )
        ]  # fmt: skip

        async with running_node(federation.home("fujian"), island=ISLAND):
            registered = await hall.call(REGISTER_PERMIT, act("permit.administration", "F02"), application)
            assert registered.permit is not None
            urn = registered.permit.urn
            await delivered(hall)
        # Fujian is down from here on: what is granted meanwhile waits for it
        filing = CorrectionFiling(
            urn=urn, field="holder_name", value=NAME, words="户口簿上是语言的语",
            citizen_number=application.holder.citizen_number, identity_checked=True,
        )  # fmt: skip
        filed = (await filing_hall.call(FILE_CORRECTION, act(*CORRECT), filing)).correction
        assert filed is not None
        assert (filed.standing, filed.owner) == (CorrectionStanding.OPEN, NodeName("zhejiang"))
        (waiting,) = (await hall.call(LIST_CORRECTIONS, act(*CORRECT), CorrectionQuery())).corrections
        assert (waiting.correction_id, waiting.to_decide) == (filed.correction_id, True)
        assert waiting.deadline == filed.deadline
        step = CorrectionExtension(correction_id=filed.correction_id, words="等待户籍地答复", days=10)
        extended = (await hall.call(EXTEND_CORRECTION, act(*CORRECT), step)).correction
        assert extended is not None
        assert extended.deadline is not None
        assert extended.deadline.extended_by == 10
        granted = (await hall.call(GRANT_CORRECTION, act(*CORRECT), replace(step, words="", days=0))).correction
        assert granted is not None
        assert (granted.standing, granted.permit_version) == (CorrectionStanding.GRANTED, 2)

        await stack.enter_async_context(running_node(federation.home("fujian"), island=ISLAND))
        pucheng = await stack.enter_async_context(federation.client("fujian/350722/police"))
        await delivered(hall)
        for holder in (police, pucheng):
            copy = (await holder.call(GET_PERMIT, act(*CHECK), urn)).permit
            assert copy is not None
            assert (copy.version, copy.holder_name) == (2, NAME)
        (seen,) = (
            await filing_hall.call(LIST_CORRECTIONS, act(*CORRECT), CorrectionQuery(everything=True))
        ).corrections
        assert (seen.standing, seen.permit_version) == (CorrectionStanding.GRANTED, 2)

        moved = replace(filing, field="household_division", value="341022", words="户口已迁")
        move = (await filing_hall.call(FILE_CORRECTION, act(*CORRECT), moved)).correction
        assert move is not None
        again = CorrectionStep(correction_id=move.correction_id)
        assert (await hall.call(GRANT_CORRECTION, act(*CORRECT), again)).correction is not None
        await delivered(hall)
        for entitled in (xiuning, pucheng):
            copy = (await entitled.call(GET_PERMIT, act(*CHECK), urn)).permit
            assert copy is not None
            assert (copy.version, copy.holder_name) == (3, NAME)
        old = await police.call(GET_PERMIT, act(*CHECK), urn)
        assert old.permit is not None
        assert (old.permit.version, old.outdated_by) == (2, 3)
        notices = (await police.call(LIST_CORRECTIONS, act(*CORRECT), CorrectionQuery())).notices
        assert [(notice.urn, notice.version) for notice in notices] == [(urn, 3)]

    agreement = load_home_agreement(federation.home("zhejiang"), now=utc_now())
    with kept_homes({name: federation.home(name) for name in federation.homes}) as kept:
        await check_federation(kept, agreement, now=utc_now())
