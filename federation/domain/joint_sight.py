"""The facts of an entry and its case that decide who is shown which items of it, and whom the items are about.

Rules kept: an office is shown a field when the procedure gives its role that, at once or since a stage that the case
has entered, or allows for it later and `disclose_item` named it; of a child under 14 only once the guardian has agreed,
for as long as that stands; of a person who is sealed never. A child is one by what an entry says, by the number or by
the party that it names: one is enough.
Sources: PIPL articles 6, 31 and 45; 刑事诉讼法第二百八十六条; DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from federation.domain.case_items import SHOWS_CHILD, Part
from federation.domain.citizen_number import age_on
from federation.domain.clock import china_day
from federation.domain.joint import Head
from federation.domain.joint_state import Case, Done
from federation.protocol.ids import AgencyId

DISCLOSE: Final = "disclose_item"
AGREES: Final = "guardian_agrees"
WITHDRAWS: Final = "guardian_withdraws"
SIGHT_ACTS: Final = (DISCLOSE, AGREES, WITHDRAWS)
"""The acts after which an office may be shown more, or less, of entries before them."""
CHILD_AGE: Final = 14
"""Below this age who somebody is waits for the guardian's consent (PIPL article 31)."""


class Sight(Struct, frozen=True, kw_only=True):
    """The facts of one place of an entry that policy reads, for one office that would be shown it."""

    at_once: bool
    later: bool
    minor: bool
    guardian_agreed: bool
    sealed: bool

    @property
    def is_given(self) -> bool:
        """True when the procedure gives it, so that policy is asked."""
        return self.at_once or self.later


def sights(
    case: Case, agency: AgencyId, head: Head, *, name: str, parts: Sequence[Part | None]
) -> Iterator[tuple[int, Sight]]:
    """The open places of an entry by number, each as an office would be shown it."""
    roles, side = case.roles(agency), "A" if agency.node == case.home else "B"
    both = head.fields.get("agreed") == "both"
    entered = stages_that_open(case)
    at_once = {cls: case.procedure.seen(cls, roles, side, agreed=both, entered=entered) for cls in set(head.items)}
    later = {cls: case.procedure.given_later(cls, roles, side) for cls in set(head.items)}
    handed, children = handed_to(case, name, agency), _child_items(case, head, name=name, parts=parts)
    agreed = bool(children) and _guardian_agreed(case, head, name=name)
    sealed = {part.item for part in parts if part is not None and (part.field, part.value) == ("sealed", "yes")}
    for at, (cls, part) in enumerate(zip(head.items, parts, strict=True), start=1):
        if part is not None:
            yield (
                at,
                Sight(
                    at_once=part.field in at_once[cls],
                    later=part.field in later[cls] and part.field in handed.get(part.item, ()),
                    minor=part.item in children,
                    guardian_agreed=agreed,
                    sealed=bool(sealed),
                ),
            )


def stages_that_open(case: Case) -> frozenset[str]:
    """The stages that the case has entered, as far as some role is given more from them on."""
    since = case.procedure.since
    moves = case.done.get("move", ()) if since else ()
    return frozenset(str(found.head.fields["to"]) for found in moves) & since.keys()


def handed_to(case: Case, name: str, agency: AgencyId) -> Mapping[int, frozenset[str]]:
    """The fields, by item, of an entry that an office was handed by `disclose_item`."""
    found: dict[int, frozenset[str]] = {}
    for said in (each.head.fields for each in case.done.get(DISCLOSE, ())):
        item, fields = said["item"], said["fields"]
        if (said["about"], said["agency"]) == (name, str(agency)) and isinstance(item, int) and fields:
            found[item] = found.get(item, frozenset()) | set(fields if isinstance(fields, tuple) else ())
    return found


def numbers_in(parts: Iterable[Part]) -> dict[int, str]:
    """The citizen number of each item that holds one."""
    return {part.item: part.value for part in parts if part.field == "number" and part.value[:17].isdigit()}


def people_in(head: Head, parts: Sequence[Part], parties: Mapping[str, str]) -> dict[str, set[int]]:
    """The places of an entry that are about each person, by citizen number; `parties` are the numbers by tag.

    An item with a number or a party's tag is about that one; any other is about all whom the entry names.
    """
    whose = {part.item: parties[part.value] for part in parts if part.field == "tag" and part.value in parties}
    whose |= numbers_in(parts)
    named = {*whose.values(), *(parties[tag] for tag in parties_named(head) if tag in parties)}
    found: dict[str, set[int]] = {}
    for at, part in enumerate(parts, start=1):
        for person in [whose[part.item]] if part.item in whose else sorted(named):
            found.setdefault(person, set()).add(at)
    return found


def parties_named(head: Head) -> frozenset[str]:
    """The tags of the parties that a head names."""
    found = [head.fields.get(field, ()) for field in ("party", "of", "on_behalf", "parties")]
    return frozenset(tag for each in found for tag in (each if isinstance(each, tuple) else (str(each),)))


def _child_items(case: Case, head: Head, *, name: str, parts: Sequence[Part | None]) -> frozenset[int]:
    """The items of an entry that tell who a child is."""
    known = [(cls, part) for cls, part in zip(head.items, parts, strict=True) if part is not None]
    day = china_day(head.at)
    says_so = head.fields.get("minor") == "yes" or name in _guarded(case)
    if says_so or any(cls in SHOWS_CHILD and _is_child(part, day) for cls, part in known):
        return frozenset(part.item for _, part in known)
    children = {found.head.fields["party"] for found in _children(case)}
    named = bool(children & parties_named(head))
    tagged = {part.item for _, part in known if part.field == "tag" and part.value in children}
    return frozenset(part.item for cls, part in known if cls in SHOWS_CHILD and (named or part.item in tagged))


def _is_child(part: Part, day: date) -> bool:
    born = part.value if part.field == "birth_date" else ""
    if part.field == "number" and part.value[:17].isdigit():
        born = part.value[6:14]
    try:
        is_young = bool(born) and age_on(date.fromisoformat(born), day) < CHILD_AGE
    except ValueError:  # a day that no calendar has: nobody knows the age
        is_young = True
    return is_young or (part.field, part.value) == ("minor", "yes")


def _children(case: Case) -> list[Done]:
    guarded = _guarded(case)
    return [found for act in ("add_party", "amend_party") for found in case.done.get(act, ())
            if found.head.fields.get("minor") == "yes" or found.entry.name in guarded]  # fmt: skip


def _guarded(case: Case) -> set[object]:
    """The entries on which a guardian gave any word: whoever holds them knows that they are of a child."""
    return {found.head.fields["about"] for act in (AGREES, WITHDRAWS) for found in case.done.get(act, ())}


def _guardian_agreed(case: Case, head: Head, *, name: str) -> bool:
    """True when the newest word of a guardian on the entry, or on every child that it names, is a consent."""
    named = [found.entry.name for found in _children(case) if found.head.fields["party"] in parties_named(head)]
    if _agreed_to(case, name):
        return True
    return bool(named) and all(_agreed_to(case, each) for each in named)


def _agreed_to(case: Case, name: str) -> bool:
    said = {act: [found.at for found in case.done.get(act, ()) if found.head.fields["about"] == name]
            for act in (AGREES, WITHDRAWS)}  # fmt: skip
    return max(said[AGREES], default=-1) > max(said[WITHDRAWS], default=-1)
