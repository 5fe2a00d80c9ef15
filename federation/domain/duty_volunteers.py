"""Volunteers (钱江源卫士 and others): enrolled with their consent, on patrol, and what they found and mended.

Rules kept: a volunteer is a pseudonym that their own county made; who it is no node knows, so that nobody across the
border can ask. A patrol is told as a day, an area of the duty sheet and counts: no moment, no point, nothing finer than
the area, no text. No more is mended than was found. Who withdraws their consent is on no roster from that day on.
Sources: 志愿服务条例 17, 20, 24; PIPL 13, 15, 28.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.duty import Duty, Volunteers
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits_policy import AgencyFacts, Occasion, ask
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.form import Count, Digest, Item, Positive, replace
from federation.protocol.ids import AgencyId, NodeName, checked, matching
from federation.protocol.policy.engine import PolicyRequest

LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""What a pseudonym is made of: nothing that is read as another."""
MAX_FOUND: Final = 1_000
VolunteerName = Annotated[str, matching("[a-z]-[a-z0-9]{6}", form="a pseudonym such as 'v-7kq2mx'", reason="VOLUNTEER")]


class Volunteer(Item, frozen=True, kw_only=True):
    """One volunteer: of which group, since when, until when, and the digest of the paper on which they agreed."""

    WHAT: ClassVar[str] = "volunteer"

    name: VolunteerName
    group: str
    version: Positive
    consent: Digest
    enrolled: date
    left: date | None = None

    def is_on_roster(self, day: date) -> bool:
        return self.enrolled <= day and (self.left is None or day < self.left)


_Names = Annotated[
    tuple[VolunteerName, ...],
    checked(lambda found: 0 < len(found) <= 20 and len(set(found)) == len(found), form="1 to 20 volunteers"),
]
_Found = Annotated[int, checked(lambda found: 0 <= found <= MAX_FOUND, form=f"a number up to {MAX_FOUND}")]


class Patrol(Item, frozen=True, kw_only=True):
    """A patrol as it was told: a day and an area, by whom, how many problems were found, how many are mended.

    `number` counts the patrols of the group.
    """

    WHAT: ClassVar[str] = "patrol"

    group: str
    number: Count
    agency: AgencyId
    day: date
    area: str
    volunteers: _Names
    found: _Found = 0
    fixed: _Found = 0


class Activity(Struct, frozen=True, kw_only=True):
    """The doings of a group in a period: its roster on the last day, patrols, problems found and mended."""

    roster: int
    patrols: int
    found: int
    fixed: int


def activity_of(volunteers: Iterable[Volunteer], patrols: Iterable[Patrol], *, last_day: date) -> Activity:
    counted = list(patrols)
    return Activity(
        roster=sum(each.is_on_roster(last_day) for each in volunteers),
        patrols=len(counted),
        found=sum(each.found for each in counted),
        fixed=sum(each.fixed for each in counted),
    )


def load_group(duty: Duty, name: str, county: str) -> Volunteers:
    """The group of a county that its duty sheet names; another county's is not even told to be there."""
    found = duty.volunteers.get(name)
    if found is None or county_of(found) != county:
        raise NotFoundError("VOLUNTEER_GROUP", "本县没有这支志愿队伍。 | The county has no such group of volunteers.")
    return found


def county_of(group: Volunteers) -> str:
    return group.id[:6]


def leave(volunteer: Volunteer, day: date) -> Volunteer:
    """The volunteer without consent from that day on; refuses VOLUNTEER_LEFT."""
    if volunteer.left is not None:
        raise RuleError("VOLUNTEER_LEFT", "该志愿者已退出。 | The volunteer has left already.")
    return replace(volunteer, version=volunteer.version + 1, left=day)


def verify_patrol(
    duty: Duty, patrol: Patrol, *, members: Iterable[Volunteer | None], unmended: int, today: date
) -> Patrol:
    """Returns a patrol that may be told. `unmended`: problems found before that are not mended.

    Raises:
        RuleError: PATROL_AREA, PATROL_DAY, PATROL_ACT, PATROL_FIXED, VOLUNTEER_UNKNOWN.
    """
    group, area = duty.volunteers[patrol.group], duty.areas.get(patrol.area)
    if area is None or county_of(group) not in area.county:
        message = (
            "请填本县值守表中的片区编号，不填坐标、村组。 | Expected an area of the county's duty sheet, no point."
        )
        raise RuleError("PATROL_AREA", message)
    if patrol.day > today:
        raise RuleError("PATROL_DAY", "巡护日期不得晚于今天。 | A patrol is told on its day or later.")
    acts = {"report": True, "found": patrol.found > 0, "fixed": patrol.fixed > 0}
    if denied := sorted(act for act, done in acts.items() if done and act not in group.may):
        raise RuleError("PATROL_ACT", f"该队伍不得登记：{denied[0]}。 | The group's sheet does not let it do this.")
    if patrol.fixed > unmended + patrol.found:
        raise RuleError("PATROL_FIXED", "整改数不得超过发现数。 | No more is mended than was found.")
    for each in members:
        if each is None or each.group != patrol.group or not each.is_on_roster(patrol.day):
            message = "名单外或已退出的志愿者。 | A volunteer who is not on the group's roster of that day."
            raise RuleError("VOLUNTEER_UNKNOWN", message)
    return patrol


def volunteers_request(agency: AgencyFacts, county: str, *, home: NodeName, occasion: Occasion) -> PolicyRequest:
    """Asks whether an agency may keep a county's volunteers and their patrols, and read what they come to."""
    dossier = DossierFacts(province=home, kind="duty", issuing_division=county)
    return ask("duty.volunteers", agency, dossier_entity(dossier), occasion=occasion)
