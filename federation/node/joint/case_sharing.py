"""Joint cases as one family of joint records: the kinds of their messages, and the rules by which they are shared.

What time brings (a clock that is over, the escalation after it, a floor that holds nothing any more, that the other
side's node has an invitation) is written by the node of the lead office alone, each once.
Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from federation.domain.case_items import Part
from federation.domain.joint import Entry, FieldValue, Head
from federation.domain.joint_policy import Seat, Standing, act_request, seat_of, shown_by, standing_of
from federation.domain.joint_state import Case
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.retention import CIVIL
from federation.node.joint.given import given_in_case
from federation.node.joint.lists import case_rows, each_due, next_look, offices
from federation.node.joint.mandates import letters_of, put_mandates, token_rows
from federation.node.joint.records import CASE, CHANGES, Held, Moment, StoredEntry, StoredRecord
from federation.node.joint.sharing import Author, Sharing
from federation.node.joint.sight import own_parts, visible
from federation.node.joint.taking import entry_kinds
from federation.node.lookups.cases import letter_rows
from federation.node.node import InForce, Node
from federation.protocol.body import Body, Handed
from federation.protocol.form import Item, decode, replace
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy import PolicyRequest
from federation.protocol.trust import find_agency
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records


class CaseSharing(Sharing[Case]):
    family = CASE

    def is_over(self, state: Case) -> bool:
        return state.outcome is not None

    def seat(self, in_force: InForce, state: Case | None, head: Head, *, occasion: Occasion) -> Seat:
        del in_force
        return seat_of(state, head, occasion=occasion)

    def asked(self, held: Held[Case], entry: Entry, *, seat: Item) -> Seat | None:
        """Returns the seat of an office that opened the case, or was invited, by what its entry stands on.

        Such an entry is taken in whatever came of that since (an invitation made void, a removal, a recusal): the fold
        says that it has no effect, and who refused it would never see what others build on it.
        """
        if not isinstance(seat, Seat) or not _is_asked(held, entry):
            return None
        standing = Standing.INVITED if entry.head.act in ("join", "decline") else Standing.MEMBER
        return replace(seat, standing=standing, kind_fits=True, recused=False)

    def question(
        self, agency: AgencyFacts, seat: Item | str, act: str, *, home: NodeName, occasion: Occasion
    ) -> PolicyRequest:
        read = seat if isinstance(seat, Seat) else decode(Seat, str(seat).encode())
        return act_request(agency, read, act, home=home, occasion=occasion)

    def may_stand_open(self, state: Case | None, kind: str, part: Part, *, at_home: bool) -> bool:
        return state is None or part.field in state.procedure.seen_by_any(kind, "A" if at_home else "B")

    def provinces(self, node: Node, in_force: InForce, state: Case) -> set[NodeName]:
        named = {agency.node for agency in (*state.members, *state.invited)}
        return {name for name in named - {node.name} if in_force.exchanges(node.name, name)}

    def left(self, in_force: InForce, held: Held[Case], part: set[NodeName]) -> Mapping[NodeName, set[str]]:
        state = held.state
        if state is None:
            return {}
        acted = {found.entry.author for every in state.done.values() for found in every}
        removed = {_node_named(found.head) for found in state.done.get("remove", ())}
        gone = (acted | removed) - part - {held.node}
        return {name: _heads_for(held, state, name) for name in gone if in_force.has(name)}

    def opened(
        self, in_force: InForce, state: Case, kept: StoredEntry, *, parts: Sequence[Part], to: NodeName
    ) -> tuple[set[int], list[PolicyRequest]]:
        places, asked = set[int](), list[PolicyRequest]()
        for agency in sorted(state.members, key=str):
            if agency.node == to and find_agency(in_force.agreement, agency) is not None:
                opened, said = visible(in_force, state, agency, kept=kept, parts=parts)
                places |= opened
                asked += said
        return places, asked

    def served(
        self, in_force: InForce, state: Case, kept: StoredEntry, *, parts: Sequence[Part], to: NodeName
    ) -> Collection[int]:
        """Returns all of them while an office of the province takes part."""
        del in_force, kept
        return range(1, len(parts) + 1) if any(agency.node == to for agency in state.members) else ()

    def seen(
        self, in_force: InForce, state: Case, kept: StoredEntry, *, parts: Sequence[Part | None], reader: AgencyId
    ) -> Collection[int]:
        is_member = standing_of(state, reader) is Standing.MEMBER
        return visible(in_force, state, reader, kept=kept, parts=parts)[0] if is_member else ()

    def shown_by(self, state: Case) -> object:
        return shown_by(state)

    def due(self, node: Node, state: Case) -> Iterator[tuple[str, Mapping[str, FieldValue]]]:
        yield from each_due(node, state)

    def author(self, node: Node, state: Case) -> Author | None:
        if state.lead is None or state.lead.node != node.name:
            return None
        procedure, roles = state.procedure, sorted(state.roles(state.lead) - {"lead"})
        seat = Seat(
            standing=Standing.MEMBER, role=roles[0] if roles else "", stage=state.stage, procedure=procedure.name
        )
        return Author(agency=state.lead, seat=seat, why=(procedure.purpose, procedure.function))

    def basis(self, state: Case) -> str:
        return state.procedure.source

    def settled(self, node: Node, row: StoredRecord, now: Moment[Case]) -> StoredRecord:
        if now.state is None:
            return row
        closed, procedure = now.state.last("close"), now.state.procedure
        return replace(
            row, look=next_look(node, now.state), procedure=procedure.name, retention=procedure.retention,
            closed=None if closed is None else closed.head.at,
        )  # fmt: skip

    def lines(
        self, node: Node, transaction: GroupTransaction, now: Moment[Case], *, row: StoredRecord, step: int
    ) -> Iterator[Record]:
        yield from case_rows(node, transaction, now, row=row, step=step)
        yield from token_rows(node, transaction, now.state, step=step)

    def wakes(self, node: Node, now: Moment[Case]) -> Iterable[str]:
        return [CHANGES.key(str(office)) for office in offices(node, now.state)] if now.state is not None else ()

    def rows_with(self, source: Source, kept: StoredEntry, *, replica: bool = True) -> tuple[Record, ...]:
        """Returns the letters that it uses. Raises RuleError: LETTER_USED."""
        letters = letters_of(kept.head, purpose=kept.purpose)
        return letter_rows(source, letters, kept.head.agency, replica=replica)

    def put_handed(
        self,
        node: Node,
        transaction: GroupTransaction,
        state: Case,
        *,
        entries: Iterable[tuple[StoredEntry, Handed | None]],
    ) -> None:
        """Writes which offices were given what is about a person, of entries of ours that hold anything yet."""
        for kept, body in entries:
            if isinstance(body, Body):
                parts = own_parts(node.trust.in_force, kept, body)
                put_records(transaction, list(given_in_case(node, transaction, state, kept=kept, parts=parts)))

    def put_settled(self, node: Node, transaction: GroupTransaction, held: Held[Case], *, state: Case) -> None:
        put_mandates(node, transaction, state, offices=tuple(held.granted))


def _is_asked(held: Held[Case], entry: Entry) -> bool:
    """True for an office that opened the case, or was invited, by what its entry stands on."""
    office = entry.head.agency
    asking = [
        kept.name
        for kept in held.kept.values()
        if (kept.head.act == "open" and kept.head.agency == office)
        or (kept.head.act == "invite" and kept.head.fields.get("agency") == str(office))
    ]
    return held.record.stands_on(entry, asking)


def _node_named(head: Head) -> NodeName:
    return NodeName(str(head.fields["agency"]).partition("/")[0])


def _heads_for(held: Held[Case], case: Case, gone: NodeName) -> set[str]:
    """The entries of which a province that takes part no more is handed the heads.

    Those up to its removal; and up to the invitation of a province that came later, to which nobody else may hand what
    this one wrote.
    """
    removed = [found for found in case.done.get("remove", ()) if _node_named(found.head) == gone]
    left = [found for found in case.done.get("leave", ()) if found.head.agency.node == gone]
    since = max((found.at for found in (*removed, *left)), default=-1)
    invited = [found for found in case.done.get("invite", ()) if found.at > since and _node_named(found.head) != gone]
    return held.record.up_to(found.entry.name for found in (*removed, *invited))


CASES_SHARED: Final = CaseSharing()
ENTRY, DISCLOSURE = entry_kinds(CASES_SHARED, keep=CIVIL)
