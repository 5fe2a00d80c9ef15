"""The places of an entry that an office is shown, by policy for the class and by the procedure for the field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from federation.domain.case_items import Part, read_part
from federation.domain.joint_policy import see_request
from federation.domain.joint_sight import Sight, sights
from federation.domain.joint_state import Case
from federation.node.joint.records import StoredEntry
from federation.node.node import InForce, agency_facts
from federation.protocol.body import Body
from federation.protocol.ids import AgencyId
from federation.protocol.policy import PolicyRequest, decide


def own_parts(in_force: InForce, kept: StoredEntry, body: Body) -> list[Part]:
    """The fields of the items of an entry of ours, in the order of their places."""
    realm = in_force.agreement.realm
    return [read_part(item, cls, realm=realm) for cls, item in zip(kept.head.items, body.items[1:], strict=True)]


def visible(
    in_force: InForce, case: Case, agency: AgencyId, *, kept: StoredEntry, parts: Sequence[Part | None]
) -> tuple[set[int], list[PolicyRequest]]:
    """The places that one office may see, and the questions that said yes to it."""
    places, asked = set[int](), list[PolicyRequest]()
    for at, sight, question in questions(in_force, case, agency, kept=kept, parts=parts):
        if sight.is_given and (question in asked or decide(in_force.policies, question).allowed):
            places.add(at)
            asked.append(question)
    return places, asked


def questions(
    in_force: InForce, case: Case, agency: AgencyId, *, kept: StoredEntry, parts: Sequence[Part | None]
) -> Iterator[tuple[int, Sight, PolicyRequest]]:
    """The question to policy about each open place of an entry for one office, by the number of the place."""
    facts, occasion = agency_facts(in_force, agency), in_force.occasion(kept.purpose, kept.function)
    for at, sight in sights(case, agency, kept.head, name=kept.name, parts=parts):
        yield at, sight, see_request(facts, case, kept.head.items[at - 1], occasion=occasion, sight=sight)
