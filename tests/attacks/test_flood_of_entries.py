"""A member that floods a case with entries that stand on nothing: what waits is bounded, and the case stays open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federation.domain import joint_record
from federation.domain.joint import Head
from federation.node.exchange.receive import receive
from federation.node.joint.records import CASE, load_held
from federation.protocol.body import Body, open_places
from federation.protocol.errors import UnavailableError
from federation.protocol.form import encode
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from tests.node.joint.desks import PEER, TOWN, WHY, Desks, desks
from tests.node.rig import JIANGXI, ZHEJIANG, kit, sign, statement


def flood(case: Desks, number: int) -> Submission:
    """An entry of Yushan, signed by its key, that stands on one which nobody ever wrote."""
    head = Head(
        record=case.record, n=100 + number, parents=frozenset({f"{number:064x}"}), height=50, at=case.rig.clock(),
        agency=PEER, officer="officer-7", act="note", fields={}, items=(),
    )  # fmt: skip
    body = Body(type=CASE.media_type, salt=os.urandom(32), items=(encode(head),))
    made = statement(
        case.rig, body, seq=100 + number, kind="case.entry", recipient=Recipient(node=ZHEJIANG), purpose=WHY[0],
        sender=Sender(node=JIANGXI, agency=PEER, officer="officer-7"), function=WHY[1], case=case.record,
    )  # fmt: skip
    return Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), partial=open_places(body, (0,)))


async def test_flood_of_entries_that_wait_closes_no_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its share the sender is asked to come again; both sides go on, and so does a node that starts anew."""
    async with desks(tmp_path) as case:
        await case.open()
        await case.invites(PEER, "peer")
        node = case.rig[ZHEJIANG]
        monkeypatch.setattr(joint_record, "MAX_BESIDE", 3)
        for number in range(3):
            await receive(node, flood(case, number), peer=JIANGXI)
        with pytest.raises(UnavailableError, match="RECORD_PENDING_FULL"):
            await receive(node, flood(case, 3), peer=JIANGXI)
        assert len(load_held(CASE, node, case.record).record.pending) == 3
        monkeypatch.setattr(joint_record, "MAX_BESIDE", 1)
        node.folds.clear()
        await case.does(TOWN, "note")
        assert len(case.held(ZHEJIANG).record.pending) == 3
