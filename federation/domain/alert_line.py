"""An alert as one office has it in its lists: heads, places and times only, nothing of a person."""

from __future__ import annotations

from typing import ClassVar

from federation.domain.alert import AlertState
from federation.domain.cap import Status
from federation.protocol.form import Count, Item, Positive, Time, always
from federation.protocol.ids import AgencyId, NodeName, RecordId


class StageLine(Item, frozen=True, kw_only=True):
    """One of the clocks from T0: accepted, contacted, arrived, and what the kind is timed for besides.

    `at` is when the stage has its stamp, None while it has none. `late`: its limit is over, or the stamp came after it.
    `made`: entered afterwards (补录). `desk` and `officer` are whose stamp counts.
    """

    WHAT: ClassVar[str] = "stage line"

    stage: AlertState
    due: Time
    at: Time | None = None
    late: bool = always(False)
    made: bool = always(False)
    officer: str = ""
    desk: str = ""
    late_reason: str = ""


class AlertLine(Item, frozen=True, kw_only=True):
    """An alert in the lists of one office of ours.

    `raised` is T0; `raised_by`, `holder`, `helpers`, `offer_to`, `desks` and `rings` are desks. `desks` are the
    office's own that are notified, `rings` those of this node that ring now, `rung` the seconds of the ladder that it
    has reached. `issued`: the colour was issued, not only proposed. `stages` is empty for kinds without clocks of
    theirs, `measured` false where it is in no figure. `skew_seconds` is by how much the clocks differ.
    """

    WHAT: ClassVar[str] = "alert line"

    record: RecordId
    office: AgencyId
    step: Positive
    cap_id: str
    status: Status
    kind: str
    zh: str
    en: str
    purpose: str
    function: str
    priority: str
    level: str = ""
    issued: bool = always(False)
    areas: tuple[str, ...]
    area_names: tuple[str, ...]
    divisions: tuple[str, ...]
    state: AlertState
    raised_by: str
    raised: Time
    arbiter: NodeName
    expires: Time
    changed: Time
    holder: str = ""
    local: bool = always(False)
    lease: Time | None = None
    helpers: tuple[str, ...] = ()
    offer_to: str = ""
    offer_until: Time | None = None
    desks: tuple[str, ...] = ()
    rings: tuple[str, ...] = ()
    rung: Count = 0
    stages: tuple[StageLine, ...] = ()
    clock_doubtful: bool = always(False)
    skew_seconds: Count = 0
    links: Count = 0
    waiting: Count = 0
    measured: bool = always(False)
    duty_class: str = ""
