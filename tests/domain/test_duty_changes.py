"""A duty sheet that changes while alerts are open: running ones keep what they pinned, a desk that is gone holds nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.domain.alert import Alert, AlertState, step
from federation.domain.alert_due import each_due
from federation.domain.alert_kinds import load_kind
from federation.domain.alert_rules import AgreedAlerts, read_alert_rules
from federation.domain.duty import Scene, own_desks, verify_class_kept
from federation.domain.joint import Entry
from federation.domain.joint_record import Fold
from federation.protocol.errors import RuleError
from federation.protocol.ids import parse_time
from tests.domain.alert_ridge import CHANGSHAN, FILES, NIGHT, QIUCHUAN, RULES, YUSHAN, J, Ridge, Z

SHEET = "policies/duty/zhejiang.toml"
CIRCLE = "330822.circle.qiuchuan"


def changed(*replaced: tuple[str, str]) -> AgreedAlerts:
    """The rules of a next agreement, in which Zhejiang's sheet says something else."""
    text = FILES[SHEET].decode()
    for before, after in replaced:
        assert before in text, before
        text = text.replace(before, after)
    return read_alert_rules({**FILES, SHEET: text.encode()})


def held() -> Ridge:
    """Held by the town, which has been in contact."""
    ridge = Ridge()
    ridge.raises(area=(CIRCLE,))
    ridge.later(20).does(QIUCHUAN, "claim")
    ridge.later(60).does(QIUCHUAN, "stamp", stage="contacted")
    return ridge


def due(ridge: Ridge, off: dict[str, int]) -> list[str]:
    return [act for act, _ in each_due(ridge.at(Z), node=Z, now=ridge.now, off=off)]


def write(ridge: Ridge, off: dict[str, int]) -> list[Entry]:
    found = each_due(ridge.at(Z), node=Z, now=ridge.now, off=off)
    return [ridge.does(QIUCHUAN, act, by=Z, **fields) for act, fields in found]


def test_desk_revoked_while_holding_ends_its_lease_and_keeps_its_stamps() -> None:
    """Scenario 16: at once, whatever its lease says; the alert rings again, and the next desk goes on where it was."""
    off = {QIUCHUAN: 2}
    ridge = held()
    assert due(ridge, {}) == []
    assert due(ridge, {YUSHAN: 2}) == []
    assert due(ridge, off) == ["lapse"]
    (lapse,) = write(ridge, off)
    assert lapse.head.fields["off"] == 2

    alert = ridge.agreed()
    assert (alert.state, alert.hold) == (AlertState.OPEN, None)
    assert set(alert.stamps) == {"accepted", "contacted"}
    assert due(ridge, off) == []

    ridge.later(5).does(CHANGSHAN, "claim")
    alert = ridge.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, alert.state) == (CHANGSHAN, AlertState.CONTACTED)
    assert alert.stamps["accepted"].desk == QIUCHUAN


def test_claim_that_waits_of_a_desk_that_is_gone_holds_for_no_moment() -> None:
    """It is receipted first, so that nobody's claim is lost unseen, and lapses in the same breath."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(20).does(YUSHAN, "claim")
    ridge.meet()
    assert due(ridge, {YUSHAN: 2}) == ["receipt", "lapse"]
    write(ridge, {YUSHAN: 2})
    assert ridge.agreed().hold is None


@pytest.mark.parametrize(
    ("node", "act", "fields", "reason"),
    [
        (J, "lapse", {"off": 2}, "ARBITER_ONLY"),
        (Z, "lapse", {}, "NOT_DUE"),
        (Z, "overdue", {"stage": "arrived", "off": 2}, "ALERT_FORM"),
    ],
)
def test_lease_ends_early_by_who_may_say_so_alone(node, act, fields, reason) -> None:
    """Another node's word, a lapse without its cause, another act with that cause: without effect."""
    ridge = held()
    alert = ridge.agreed()
    assert alert.hold is not None
    about = {"about": alert.hold.by} if act == "lapse" else {}
    entry = ridge.does(QIUCHUAN, act, by=node, due="2026-04-04T00:00:00.000Z", **about, **fields)
    assert ridge.refusal(entry) == reason
    assert ridge.agreed().hold == alert.hold


TOWN, NAMED = 'county = ["330822"]\nclass = "town"', f'[[area]]\nid = "{CIRCLE}"'
REMOTE = (TOWN, TOWN.replace("town", "remote"))


def remote_from(day: str) -> AgreedAlerts:
    """A next agreement in which Qiuchuan is remote, and was town until that day."""
    row = f'[[former]]\narea = "{CIRCLE}"\nclass = "town"\nuntil = {day}\n\n'
    return changed((NAMED, row + NAMED), REMOTE)


def test_class_changes_with_a_quarter_and_never_within_one() -> None:
    """Another class from the next quarter on is taken; at once, or since the running one began, it is refused."""
    later, pending = parse_time("2026-06-30T16:00:00.000Z"), remote_from("2026-07-01").duty
    verify_class_kept(RULES.duty, RULES.duty, now=NIGHT)
    verify_class_kept(RULES.duty, pending, now=NIGHT)
    verify_class_kept(pending, changed(REMOTE).duty, now=later)  # what was declared has begun
    for before, after in (
        (RULES.duty, changed(REMOTE)),
        (RULES.duty, remote_from("2026-04-01")),
        (pending, changed(REMOTE)),  # nobody makes it begin earlier
    ):
        with pytest.raises(RuleError, match="330822111") as caught:
            verify_class_kept(before, after.duty, now=NIGHT)
        assert caught.value.reason == "DUTY_CLASS"


@pytest.mark.parametrize(
    "replaced",
    [
        ((CIRCLE, "330822.circle.other"), REMOTE),
        ((f'desks = ["{QIUCHUAN}", "{CHANGSHAN}"]', f'arrive_minutes = 20\ndesks = ["{QIUCHUAN}", "{CHANGSHAN}"]'),),
    ],
)
def test_class_is_not_changed_by_another_name_or_other_minutes(replaced: tuple[tuple[str, str], ...]) -> None:
    """A remote area of a new name over the same towns changes their class; so do other minutes."""
    with pytest.raises(RuleError, match="330822111"):
        verify_class_kept(RULES.duty, changed(*replaced).duty, now=NIGHT)


def test_limit_is_of_the_quarter_and_of_where_the_raise_said() -> None:
    """Before the day of the change the former class counts; an update that names a remote area moves no limit."""
    newer = remote_from("2026-07-01")
    assert newer.limit("arrived", (CIRCLE,), NIGHT) == timedelta(minutes=10)
    assert newer.limit("arrived", (CIRCLE,), parse_time("2026-06-30T16:00:00.000Z")) == timedelta(minutes=30)
    ridge = held()
    raised = ridge.agreed().raised
    assert raised is not None
    ridge.does(QIUCHUAN, "update", **ridge.content(about=raised.name, area=("tri.qixi",), division=("330824",)))
    alert = ridge.agreed()
    assert alert.areas == ("tri.qixi",)
    assert alert.due("arrived") == alert.dispatched + timedelta(minutes=10)


def test_running_alert_keeps_desk_and_class_and_a_new_one_has_the_new_table() -> None:
    """Scenario 20: what was raised under a version is folded under it; the next alert rings and measures otherwise."""
    newer = changed(
        (
            'type = "circle"\ncounty = ["330822"]\nclass = "town"',
            'type = "circle"\ncounty = ["330822"]\nclass = "remote"',
        ),
        (f'desks = ["{QIUCHUAN}", "{CHANGSHAN}"]', f'desks = ["{CHANGSHAN}"]'),
    )
    ridge = held()
    running = ridge.agreed()
    following = Fold(ridge.nodes[Z], start=Alert(rules=newer), step=step).state

    assert running.due("arrived") - running.dispatched == timedelta(minutes=10)
    assert following.due("arrived") - following.dispatched == timedelta(minutes=30)
    assert running.hold is not None
    assert running.hold.desk == QIUCHUAN
    assert due(ridge, {}) == []  # its desk is on the sheet still: it goes on holding
    scene = Scene(county="330822", area=CIRCLE, at=NIGHT.replace(hour=4))
    kind = load_kind(RULES.table, "dispute")
    assert own_desks(RULES.duty, kind, scene)[0] == QIUCHUAN
    assert own_desks(newer.duty, kind, scene) == (CHANGSHAN,)
