"""Planted records: flagged on both sides in the transaction of the question or the hit; the asker learns nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.lookups import Outcome
from federation.domain.oversight import FlagKind
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.oversight import flags
from federation.node.oversight.flags import is_planted, list_planted, remove_planted
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from tests.node.lookups.office import URN, Office, flags_at, office
from tests.node.rig import HALL, JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, application, plant_record

CHANGSHAN_POLICE = parse_agency_id("zhejiang/330822/police")


def seen_at(found: Office, node: NodeName, desk: AgencyId) -> list[tuple[FlagKind, str, str]]:
    return [(one.kind, str(one.agency), one.officer) for one in flags_at(found.rig[node], desk)]


async def test_hit_on_a_planted_record_is_flagged_where_it_lies_and_the_asker_learns_nothing(tmp_path: Path) -> None:
    """Changshan's desk has the flag, once, with who asked; the answer is a hit like any other, not a byte longer."""
    async with office(tmp_path) as found:
        await found.open()
        zhejiang = found.rig[ZHEJIANG]
        person = replace(application(household="361123"), work_division=None)
        registered = await permits.register(begin_errand(zhejiang, HALL, act()), person)
        assert registered.permit is not None
        before = await found.search(person.holder.citizen_number)
        assert seen_at(found, ZHEJIANG, CHANGSHAN_POLICE) == []
        await plant_record(zhejiang, str(registered.permit.urn))
        carried = len(found.rig.carried(ZHEJIANG, JIANGXI))

        found.rig.clock.advance(minutes=1)
        answer = await found.search(person.holder.citizen_number)

        assert seen_at(found, ZHEJIANG, CHANGSHAN_POLICE) == [(FlagKind.HONEY, str(YUSHAN_POLICE), "officer-1")]
        assert found.flags() == []
        assert answer.answers[0].outcome is Outcome.HIT
        assert answer.answers[0].policies == before.answers[0].policies
        told = found.rig.carried(ZHEJIANG, JIANGXI)[carried:]
        assert told
        assert b"honey" not in told
        assert "诱饵".encode() not in told


async def test_record_that_is_planted_no_more_is_flagged_no_more(tmp_path: Path) -> None:
    """What is removed is a record like any other, until it is planted again; its name is on no plain column."""
    async with office(tmp_path) as found:
        node = found.rig[ZHEJIANG]
        await plant_record(node, URN)
        await plant_record(node, URN)
        assert is_planted(node.database, URN)
        assert not is_planted(node.database, f"{URN}2")
        assert list(list_planted(node.database)) == [URN]

        await node.sequencer.commit(lambda tx: remove_planted(tx, URN, owner=node.name))

        assert not is_planted(node.database, URN)
        assert list(list_planted(node.database)) == []
        with pytest.raises(NotFoundError):
            await node.sequencer.commit(lambda tx: remove_planted(tx, URN, owner=node.name))
        await plant_record(node, URN)
        assert is_planted(node.database, URN)


async def test_flag_of_a_county_without_police_comes_to_the_provinces_first_desk(tmp_path: Path) -> None:
    """No flag is raised where nobody reads."""
    async with office(tmp_path) as found:
        node = found.rig[ZHEJIANG]
        assert flags.desk_for(node, "330822") == CHANGSHAN_POLICE
        other = flags.desk_for(node, "339999")
        assert other.kind == "police"
        assert node.trust.in_force.agency(other)
