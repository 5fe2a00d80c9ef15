"""Look-ups under a joint case: a grant in it is a look-up case of the same form as one opened by letter.

Rules kept: for purposes that the procedure names, in counties of members, for 90 days at most, on a letter of this very
case, granted by the leader who answers for it and does not ask; once for each office, and ended for good with the stage
that allows it, by a dispute about jurisdiction, with a member of its counties, or with the case. It opens nothing that
a letter would not: policy, quotas, step-up and the desks are those of any look-up case.
Sources: 公安机关办理刑事案件程序规定 (办案协作); misuse controls M2 and M9.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import MAXYEAR, datetime, timedelta
from typing import Final

from federation.domain.joint import Entry, Head, NoEffect
from federation.domain.joint_state import Case, Done, officer_of
from federation.domain.lookups_case import MAX_CASE_DAYS, MAX_NAMES, LookupCase, close_case, is_joint_code
from federation.protocol.ids import AgencyId, parse_agency_id

GRANT: Final = "grant_lookup"


def cannot_grant(case: Case, entry: Entry) -> NoEffect | None:
    """None when look-ups can be granted so now, else the reason."""
    head, said = entry.head, entry.head.fields
    purposes, counties, days = _words(head, "purposes"), _words(head, "counties"), said["days"]
    letters = {
        found.head.fields["manifest"]
        for found in case.done.get("attach_paper", ())
        if found.head.fields["paper_kind"] == "letter"
    }
    dispute = case.last("raise_dispute")
    rules = (
        ("LOOKUP_PURPOSE", bool(purposes) and purposes <= set(case.procedure.lookups)),
        ("LOOKUP_COUNTY", 1 <= len(counties) < MAX_NAMES and counties <= {agency.county for agency in case.members}),
        ("LOOKUP_TERM", isinstance(days, int) and 1 <= days <= MAX_CASE_DAYS and head.at.year < MAXYEAR),
        ("LOOKUP_LEADER", said["leader"] == officer_of(head)),
        ("LOOKUP_LETTER", said["letter"] in letters),
        ("LOOKUP_DISPUTED", dispute is None or dispute.at < case.entered),
        ("DONE_ALREADY", all(found.head.agency != head.agency for found in case.done.get(GRANT, ()))),
    )
    return next((NoEffect(reason=reason) for reason, kept in rules if not kept), None)


def mandates(case: Case) -> Mapping[AgencyId, LookupCase]:
    """The look-up cases that a joint case grants, by the office whose officers ask, ended where it ended them."""
    if not is_joint_code(case.code):
        return {}
    return {found.head.agency: _lookup_case(case, found) for found in case.done.get(GRANT, ())}


def _lookup_case(case: Case, granted: Done) -> LookupCase:
    head, days = granted.head, granted.head.fields["days"]
    mandate = LookupCase(
        case_id=case.code,
        opened_by=head.agency,
        letter=str(head.fields["letter"]),
        counties=_words(head, "counties") | {head.agency.county},
        purposes=_words(head, "purposes"),
        opens=head.at,
        closes=head.at + timedelta(days=days if isinstance(days, int) else 0),
        closed=False,
        leader=head.officer or "",
        version=1,
    )
    end = _end(case, granted, mandate)
    return mandate if end is None else close_case(mandate, end)


def _end(case: Case, granted: Done, mandate: LookupCase) -> datetime | None:
    """The moment when the case ended what it granted; None while it stands."""
    stages = case.procedure.stages
    ended = [
        *(found for found in case.done.get("end_lookup", ()) if found.head.fields["about"] == granted.entry.name),
        *(found for found in case.done.get("move", ()) if GRANT not in stages[str(found.head.fields["to"])].acts),
        *(found for act in ("raise_dispute", "close") for found in case.done.get(act, ())),
        *(found for found in case.done.get("leave", ()) if found.head.agency.county in mandate.counties),
        *(found for found in case.done.get("remove", ())
          if parse_agency_id(str(found.head.fields["agency"])).county in mandate.counties),
    ]  # fmt: skip
    return min(((found.at, found.head.at) for found in ended if found.at > granted.at), default=(0, None))[1]


def _words(head: Head, name: str) -> frozenset[str]:
    said = head.fields[name]
    return frozenset(said) if isinstance(said, tuple) else frozenset()
