"""The same table once more, by the door that an office really has: its own node, which asks Zhejiang for it.

A search and a fetch through both nodes, for each kind of office, purpose, state of the case, key and field; the oracle is
that of `test_no_field_beyond_the_table`. Who gets no handle of their own shows one that a colleague got.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.protocol.ids import AgencyId
from tests.node.lookups.desks import Desks, Key, open_desks
from tests.node.lookups.hostile import Ask
from tests.node.rig import JIANGXI, YUSHAN_POLICE
from tests.scenarios.test_no_field_beyond_the_table import (
    FIELDS,
    PURPOSES,
    fields_that_may_go,
    offices,
    states_for,
    table,
)

OFFICES = tuple(agency for agency in offices() if agency.node == JIANGXI)


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    async with open_desks(tmp_path) as made:
        assert await made.ask(Ask()) == {"status": "valid"}
        yield made


@pytest.mark.parametrize("asker", OFFICES, ids=str)
async def test_office_gets_what_the_table_names_for_each_purpose_and_case(desks: Desks, asker: AgencyId) -> None:
    """Agency kind, county, purpose, state of the case."""
    states = [state for state in states_for(asker) if "glass" not in state]
    for purpose, case in itertools.product(PURPOSES, states):
        ask = Ask(asker=asker, purpose=purpose, case=case)
        assert (await desks.ask(ask)).keys() == fields_that_may_go(ask), (ask, desks.noes[-2:])


@pytest.mark.parametrize("purpose", PURPOSES[:3])
async def test_officer_gets_the_fields_that_the_table_names_and_no_other(desks: Desks, purpose: str) -> None:
    """Each field by itself, all that the table names, and one too many."""
    named = table("lookup.fetch")["police", "border", purpose, "permit"]
    sets = [frozenset({name}) for name in FIELDS] + [named, named | {"ethnicity"}, frozenset()]
    for fields in sets:
        ask = Ask(purpose=purpose, fields=fields)
        released = await desks.ask(ask)
        held = {name for name in fields_that_may_go(ask) if getattr(desks.permit, name, True) is not None}
        assert released.keys() == held, (ask, desks.noes[-2:])


async def test_officer_with_another_key_or_none_gets_nothing(desks: Desks) -> None:
    """A certificate is an office's: without the key that this officer registered there is no field."""
    for key, asker in itertools.product((Key.OTHER, Key.NONE), (YUSHAN_POLICE, *OFFICES)):
        desks.noes.clear()
        assert await desks.ask(Ask(asker=asker), key=key) == {}
        assert desks.noes


async def test_own_province_is_not_asked_by_this_door(desks: Desks) -> None:
    """Jiangxi's police ask Jiangxi elsewhere."""
    assert await desks.ask(Ask(), province=JIANGXI) == {}
