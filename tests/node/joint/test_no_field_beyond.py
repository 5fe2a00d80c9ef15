"""No field of an item beyond what the procedure opens to a role: for every procedure, role, side, class and field.

First for the decision itself, over all of them; then for what crossed and what the other province keeps.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from federation.domain.case_items import AT_HOME, CLASSES, CaseItem, Part, read_part
from federation.domain.joint import Head
from federation.domain.joint_state import Case
from federation.domain.procedure import procedure_names, read_rules
from federation.node.joint.records import CASE, HeadProof, StoredEntry
from federation.node.joint.sight import visible
from federation.node.node import Node
from federation.protocol.body import OpenPlace, PartialBody
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from federation.protocol.trust import Agency
from federation.store.messages import find_handed
from federation.store.records import each_in_range, ids_under
from federation.store.tables import RECORD
from tests.node.joint.desks import CONTACT, NOTE, OFFICES, PARTY, PEER, TOWN, desks, with_offices
from tests.node.joint.test_entries import register
from tests.node.rig import JIANGXI, ZHEJIANG

OF_RECORD = "zhejiang/01936000-0000-7000-8000-000000000001"
ADULT = {"birth_date": "2150-01-01", "minor": "no", "sealed": "no"}
COUNTIES = {"A": "zhejiang/330822", "B": "jiangxi/361123"}


async def test_every_role_is_given_the_fields_of_its_procedure_and_no_other(tmp_path: Path) -> None:
    """Over all procedures: what is opened is exactly what the table says, and of notes, informers and injuries nothing."""
    async with desks(tmp_path) as case:
        rig, checked = case.rig, 0
        files = rig[ZHEJIANG].trust.in_force.agreement.files
        procedures = {name: read_rules(files, name) for name in procedure_names(files)}
        offices = {
            parse_agency_id(f"{county}/{kind}"): rules.procedure.function
            for rules in procedures.values()
            for role in rules.procedure.roles.values()
            for kind in role.kinds
            for county in COUNTIES.values()
        }
        agreement = with_offices(rig[ZHEJIANG].trust.in_force.agreement, (*OFFICES, *offices))
        every = frozenset(rules.procedure.function for rules in procedures.values())
        members = {
            name: replace(
                member,
                agencies={office: Agency(name=each.name, functions=every) for office, each in member.agencies.items()},
            )
            for name, member in agreement.members.items()
        }
        rig.put_in_force(replace(agreement, version=agreement.version + 1, digest="ab", members=members), ZHEJIANG)
        in_force = rig[ZHEJIANG].trust.in_force
        for rules in procedures.values():
            procedure = rules.procedure
            for name, role in procedure.roles.items():
                for side, county in COUNTIES.items():
                    office = parse_agency_id(f"{county}/{min(role.kinds)}")
                    seat = Case(rules=rules, record=OF_RECORD, home=ZHEJIANG, stage=procedure.stage[0].id,
                                members={office: frozenset({name})})  # fmt: skip
                    for cls, fields in CLASSES.items():
                        parts = [Part(item=1, field=field, value=ADULT.get(field, "1")) for field in fields]
                        head = Head(
                            record=OF_RECORD, n=1, parents=frozenset(), height=0, at=datetime(2026, 11, 23, tzinfo=UTC),
                            agency=TOWN, officer="o-1", act="note", fields={}, items=(cls,) * len(fields),
                        )  # fmt: skip
                        kept = StoredEntry(
                            arrival=1, name="0" * 64, author=ZHEJIANG, head=head, arrived=head.at,
                            purpose=procedure.purpose, function=procedure.function, proof=HeadProof(salt="0" * 64, path=()),
                        )  # fmt: skip
                        for agreed in (False, True):
                            said = replace(kept, head=replace(head, fields={"agreed": "both" if agreed else "A"}))
                            for entry in (said,) if agreed else (said, kept):
                                places, _ = visible(in_force, seat, office, kept=entry, parts=parts)
                                given = {parts[at - 1].field for at in places}
                                allowed = procedure.seen(cls, {name}, side, agreed=agreed)
                                where = (procedure.name, name, side, cls)
                                assert given == (frozenset() if cls in AT_HOME else allowed), where
                                checked += len(given)
        assert checked > 100  # or nobody was shown anything


async def test_what_crossed_and_what_is_kept_hold_no_other_field(tmp_path: Path) -> None:
    """Every body that Jiangxi took in and every row of its store hold only what is opened to its offices."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        full = {**PARTY.fields, "name": "只在本省甲", "minor": "no", "id_kind": "resident"}
        reached = CONTACT.fields | {"address": "只在本省乙巷一号"}
        await case.does(TOWN, "add_party", CaseItem(kind="party", fields=full),
                        CaseItem(kind="contact", fields=reached), party="p3", side="A", role="third",
                        county="330822")  # fmt: skip
        await case.does(TOWN, "note", replace(NOTE, fields={"text": "只在本省丙"}))
        await case.invites(PEER, "peer")

        node = case.rig[JIANGXI]
        held = case.held(JIANGXI)
        assert held.state is not None
        procedure, realm = held.state.procedure, node.trust.in_force.agreement.realm
        crossed = set[tuple[str, str]]()
        for kept in held.kept.values():
            for handed in CASE.handed.each(node.database, under=f"{kept.name}/"):
                body = find_handed(node.database, handed.message_id)
                assert isinstance(body, PartialBody)
                for cls, place in zip(kept.head.items, body.places[1:], strict=True):
                    if isinstance(place, OpenPlace):
                        part = read_part(place.item, cls, realm=realm)
                        crossed.add((cls, part.field))
                        assert part.field in procedure.seen(cls, {"peer"}, "B"), (cls, part.field)
        assert ("party", "name") in crossed
        assert not {cls for cls, _ in crossed} & {"contact", *AT_HOME}
        secrets = ("只在本省乙", "只在本省丙")
        assert [text for text in secrets if _is_kept(case.rig[ZHEJIANG], text)] == list(secrets)
        assert not [text for text in secrets if _is_kept(node, text)]


def _is_kept(node: Node, text: str) -> bool:
    """Whether any row of any kind, unsealed, holds a text."""
    with node.database.reading() as connection:
        kinds = {*connection.execute(select(RECORD.c.kind, RECORD.c.replica).distinct()).all()}
    rows = (
        row.content
        for kind, replica in kinds
        for row in each_in_range(node.database, kind, ids_under(""), replica=replica)
    )
    return any(text.encode() in content for content in rows)
