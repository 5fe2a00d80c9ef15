"""`bridgehead duty`: the desks of the border counties and who is on (值守): tables, books, hand-overs, volunteers.

Whoever hands a shift over, and whoever takes it, signs the one entry with their own key, which never leaves this
machine. `hand-over` alone shows what waits; `--to` offers, `--accept` takes over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from federation.cli.alert_rows import desk_name
from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, Paging, commands_for, paper_digest
from federation.cli.show import CHINA, china_today, local_minute, table
from federation.cli.tree import small
from federation.cli.words import WORDS, listed, pair, said, titled, word, word_of
from federation.domain.alert_policy import DUTY_PURPOSE
from federation.domain.division import format_division_path
from federation.domain.duty import Area
from federation.domain.duty_roster import (
    DUTY_FUNCTIONS,
    DutyAct,
    DutyLine,
    HandOver,
    OnDuty,
    OpenAlert,
    hand_over_bytes,
    verify_hand_over,
)
from federation.domain.duty_volunteers import Activity, Patrol, Volunteer
from federation.protocol.errors import RuleError
from federation.wire.agency import duty as wire
from federation.wire.rpc import Act

app = typer.Typer(name="duty", no_args_is_help=True, help="Duty at the desks of the border counties (值守).")
command = commands_for(DUTY_PURPOSE, "F12")
TRIES: Final = 3
"""A desk at which something happens meanwhile gives another entry: so often it is drafted and signed anew."""
_TIMES: Final = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]

DeskArgument = Annotated[str, typer.Argument(metavar="DESK", help="The desk (席位), such as 330822.governance."), small]
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="The group (队伍), such as 330824.guards."), small]
DayOption = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="The day, in China (today).")]
WORDS["DutyAct"] = {"sign_on": "签到", "sign_off": "签退", "offer": "交班", "take_over": "接班"}
WORDS["AreaType"] = {
    "road": "路", "segment": "段", "circle": "圈", "patch": "片", "pair": "村结对", "cell": "网格", "reach": "河段",
    "compartment": "林班",
}  # fmt: skip
WORDS["DutyClass"] = {"town": "城镇", "remote": "偏远"}
NEXT_STEPS.update({
    "DUTY_COUNTY": "写六位区划代码，如 330822 | name a county of the border by its six digits, such as 330822",
    "DUTY_CREW": "照值守表写明车辆和角色：--unit --crew | name a unit and roles of the sheet: --unit --crew",
    "DUTY_FULL": "请下班人员先签退 | have those who went home sign off: bridgehead duty sign-off",
    "DUTY_NOT_ON": "先签到：bridgehead duty sign-on | sign on first: bridgehead duty sign-on",
    "DUTY_ON_ALREADY": "查看在班人员：bridgehead duty roster | see who is on: bridgehead duty roster",
    "DUTY_UNIT": "查看车辆及其席位：bridgehead duty show | see the units and their desks: bridgehead duty show",
    "HAND_OVER_CHANGED": "再办一次，按最新情况签名 | run it once more: it is drafted anew",
    "HAND_OVER_CHARGE": "查看由谁当班：bridgehead duty roster | see who answers for it: bridgehead duty roster",
    "HAND_OVER_NAMES_PERSON": "删去号码，改写编号或事由 | take the number out; name the alert instead",
    "HAND_OVER_NONE": "请当班人交班 | have who answers for it offer it: bridgehead duty hand-over --to",
    "HAND_OVER_OTHER": "由交班人、接班人本人办理 | have its two officers sign, each by their own key",
    "HAND_OVER_SELF": "写明接班人：--to | name another officer: --to",
    "HAND_OVER_UNSIGNED": "这一行不作数，报审计：audit verify | do not rely on that row, tell an auditor: audit verify",
    "PATROL_ACT": "照值守表所列事项登记 | tell what the sheet lets the group do",
    "PATROL_AREA": "查看片区编号：bridgehead duty show | see the areas: bridgehead duty show",
    "PATROL_DAY": "核对日期：--day | check the day: --day",
    "PATROL_FIXED": "核对整改数：--fixed | check how many were mended: --fixed",
    "VOLUNTEER_GROUP": "查看本县队伍：bridgehead duty show | see the groups: bridgehead duty show",
    "VOLUNTEER_LEFT": "不必再办 | nothing is left to do",
    "VOLUNTEER_UNKNOWN": "核对志愿者代号 | check the pseudonym",
})  # fmt: skip


def _act(desk: Desk) -> Act:
    """The act of an office under the function by which its kind keeps desks."""
    return desk.act(function=DUTY_FUNCTIONS.get(desk.profile.agency.kind, ""))


# ---- the tables


@command(app, "show")
def show(
    desk: Desk,
    county: Annotated[str, typer.Argument(metavar="[COUNTY]", help="Six digits; your own county.")] = "",
) -> None:
    """Show (值守表) the desks of a county with who is on, its areas, pairs, mobile units and volunteers."""
    shown = desk.call(wire.SHOW_DUTY, county, act=_act(desk), changes=False)
    desk.show(shown, duty_lines(shown))


def duty_lines(shown: wire.DutyTable) -> Iterator[str]:
    official = "" if shown.is_official else f"  {said('未公布|not published')}"
    yield f"{format_division_path(shown.county)} {shown.county}  {said('值守表|duty sheet')} {shown.version}{official}"
    yield from table(
        shown.desks, (said("席位|desk"), lambda each: f"{each.desk.name or desk_name(each.desk.id)} {each.desk.id}"),
        (said("时间|hours"), lambda each: each.desk.hours),
        (said("在班|on"), manned_text), (said("当班|answers"), lambda each: each.charge or "-"),
        (said("代班|deputies"), lambda each: listed(each.desk.deputies) or "-"),
        (said("非值守转|falls to"), lambda each: each.desk.falls_to or "-"),
        (said("领导|leader"), lambda each: each.desk.leader or "-"), (said("电话|phone"), lambda each: each.desk.phone),
    )  # fmt: skip
    for each in shown.desks:
        kinds = listed(pair(shown.kind_names.get(kind, ""), kind) for kind in each.desk.kinds)
        yield f"  {each.desk.id}  {titled('承担|takes')}{kinds}"
    for area in shown.areas:
        yield area_line(area)
    if shown.neighbours:
        names = listed(f"{format_division_path(each) or ''} {each}".strip() for each in shown.neighbours)
        yield f"{titled('通报邻县|neighbours told')}{names}"
    for unit in shown.units:
        crew = f"{said('席位|base')} {unit.base}  {titled('车组|crew')}{listed(unit.crew)}"
        yield f"{said('车辆|mobile unit')} {unit.id}  {unit.name}  {crew}"
    for group in shown.volunteers:
        yield f"{said('志愿者|volunteers')} {group.id}  {group.name}"


def area_line(area: Area) -> str:
    beside = f"  {titled('相邻|beside')}{listed(area.neighbours)}" if area.neighbours else ""
    limit = f"{said('到场|arrive')} {area.arrive_limit} {said('分|min')}"
    names = f"{f'{area.name} {area.id}'.strip()}  {word(area.type)}  {word(area.duty_class)}  {limit}"
    return f"{said('片区|area')} {names}  {titled('席位|desks')}{listed(area.desks)}{beside}"


def manned_text(standing: wire.DeskStanding) -> str:
    """The number of those on, and whether the last shift was handed over; nothing of another province's desk."""
    if not standing.is_here:
        return said("外省|elsewhere")
    closed = "" if standing.is_open else f" {said('非值守时间|closed')}"
    unhanded = f" {said('未交接|not handed over')}" if standing.is_unhanded else ""
    return f"{standing.manned} {said('人|on')}{closed}{unhanded}"


# ---- the book of a desk


@command(app, "roster")
def roster(
    desk: Desk,
    name: DeskArgument,
    paging: Paging,
    at: Annotated[datetime | None, typer.Option("--at", formats=_TIMES, help="Who was on then, in China.")] = None,
) -> None:
    """Show (值守簿) who is on at a desk, or was, and its book with each row's leaf, newest first."""
    query = wire.RosterQuery(desk=name, at=at.replace(tzinfo=CHINA) if at else None)
    page = desk.read(wire.READ_ROSTER, query, paging, act=_act(desk))
    desk.show_page(page, roster_lines(page), noun="rows")
    verify_book(page)


def verify_book(page: wire.RosterPage) -> None:
    """Verifies at the desk what two officers signed, since the book is the node's (HAND_OVER_UNSIGNED)."""
    for each in page.lines:
        if each.line.act is DutyAct.TAKE_OVER and not is_taken_alone(each.line):
            verify_hand_over(each.line)


def roster_lines(page: wire.RosterPage) -> Iterator[str]:
    standing = page.standing
    if standing is not None:
        yield f"{standing.desk.id}  {manned_text(standing)}  {titled('当班|answers')}{standing.charge or '-'}"
        yield from map(on_line, standing.on)
    for each in page.lines:
        yield f"{book_line(each.line)}  {said('叶|leaf')} {each.leaf}  {each.digest[:16]}"
    newest = page.lines[0].line if page.lines else None
    if newest is not None and newest.offered is not None:
        yield titled("待接班|waits for its second signature").rstrip()
        yield from hand_over_lines(newest.offered)


def on_line(on: OnDuty) -> str:
    unit = f"  {on.unit} {listed(on.crew)}" if on.unit else ""
    return f"  {on.officer}  {said('自|since')} {local_minute(on.since)}{unit}"


def book_line(line: DutyLine) -> str:
    done = f"{line.number:>4}  {local_minute(line.time)}  {word(line.act)}  {line.officer}"
    alone = f"  {said('仅接班人签名|signed by who took over alone')}" if is_taken_alone(line) else ""
    return f"{done}  {titled('当班|answers')}{line.charge or '-'}{alone}"


def is_taken_alone(line: DutyLine) -> bool:
    """True for a take-over from an officer whose key counts no more, so that one signature is all there is."""
    return line.act is DutyAct.TAKE_OVER and [each.officer for each in line.signed] == [line.officer]


@command(app, "sign-on")
def sign_on(
    desk: Desk,
    name: DeskArgument,
    unit: Annotated[str, typer.Option("--unit", help="With this mobile unit (民情直通车) of the desk.")] = "",
    crew: Annotated[list[str] | None, typer.Option("--crew", help="A role aboard (车组), several; all.")] = None,
) -> None:
    """Sign on (签到) to a desk of your office; the first one answers for it."""
    question = wire.SigningOn(desk=name, unit=unit, crew=tuple(crew or ()))
    _show(desk, desk.call(wire.SIGN_ON, question, act=_act(desk)))


@command(app, "sign-off")
def sign_off(desk: Desk, name: DeskArgument) -> None:
    """Sign off (签退); who answers for the desk does so until another officer took over."""
    outcome = desk.call(wire.SIGN_OFF, name, act=_act(desk))
    line = outcome.line
    still = line is not None and line.charge == line.officer
    step = f"未交接，仍由您当班：bridgehead duty hand-over {name} --to | you still answer for it: hand it over"
    desk.show(outcome, _outcome_lines(outcome), steps=(step,) if still else ())


def _show(desk: Desk, outcome: wire.DutyOutcome) -> None:
    desk.show(outcome, _outcome_lines(outcome))


def _outcome_lines(outcome: wire.DutyOutcome) -> Iterator[str]:
    line = outcome.line
    if line is None:
        return
    yield f"{line.desk}  {book_line(line).strip()}"
    yield from map(on_line, line.on)
    if line.hand_over is not None and line.hand_over.before == line.before:
        yield from hand_over_lines(line.hand_over)


# ---- handing over a shift


@command(app, "hand-over")
def hand_over(
    desk: Desk,
    name: DeskArgument,
    to: Annotated[str, typer.Option("--to", help="Offer it (交班) to this officer, who then signs it.")] = "",
    accept: Annotated[bool, typer.Option("--accept", help="Take over (接班) what waits for you.")] = False,
    promises: Annotated[
        list[str] | None, typer.Option("--promise", help="What was promised and is not done (交接事项), several.")
    ] = None,
) -> None:
    """Hand a shift over (交接班): both officers sign one list of what is open, late and promised.

    Until the second one signs, the first still answers for the desk. Without --to or --accept it shows what waits.
    """
    if to and accept:
        raise typer.BadParameter("--to 与 --accept 只写其一 | give --to or --accept, not both")
    plan = wire.HandOverPlan(desk=name, incoming=to, promises=tuple(promises or ()))
    if not (to or accept):
        paper = desk.call(wire.DRAFT_HAND_OVER, plan, act=_act(desk), changes=False)
        desk.show(paper, hand_over_lines(paper.hand_over) if paper.hand_over else ())
        return
    for left in reversed(range(TRIES)):
        try:
            _sign(desk, plan)
        except RuleError as error:
            if error.reason != "HAND_OVER_CHANGED" or not left:
                raise
        else:
            return


def _sign(desk: Desk, plan: wire.HandOverPlan) -> None:
    """Signs the entry that the node drafts or keeps, shows it, and says what comes next."""
    paper = desk.call(wire.DRAFT_HAND_OVER, plan, act=_act(desk), changes=False)
    entry = paper.hand_over
    if entry is None:
        desk.show(paper)
        return
    signing = wire.HandOverSigning(hand_over=entry, signature=desk.sign(hand_over_bytes(entry)))
    outcome = desk.call(wire.SIGN_HAND_OVER, signing, act=_act(desk))
    offered = outcome.line is not None and outcome.line.offered is not None
    then = f"bridgehead duty hand-over {plan.desk} --accept"
    step = f"请 {entry.incoming} 在 30 分钟内接班 | they take over within 30 minutes: {then}"
    lines = (book_line(outcome.line), *hand_over_lines(entry)) if outcome.line else ()
    desk.show(outcome, lines, steps=(step,) if offered else ())


def hand_over_lines(entry: HandOver) -> Iterator[str]:
    late = sum(bool(each.overdue) for each in entry.alerts)
    count = f"{said('待办|open')} {len(entry.alerts) + entry.more}  {said('超时|late')} {late}"
    yield f"{entry.desk}  {local_minute(entry.time)}  {entry.outgoing} -> {entry.incoming}  {count}"
    yield from map(alert_line, entry.alerts)
    if entry.more:
        yield f"  {said('另有|and')} {entry.more} {said('条|more')}"
    for each in entry.promises:
        yield f"  {titled('交接事项|promised')}{each}"


def alert_line(alert: OpenAlert) -> str:
    state = word_of("AlertState", alert.state)
    stages = listed(word_of("AlertState", each) for each in alert.overdue)
    late = f"  ** {titled('超时|late')}{stages} **" if stages else ""
    lease = f" {said('至|until')} {local_minute(alert.lease)}" if alert.lease else ""
    return f"  {alert.cap_id}  {alert.kind}  {state}  {titled('持有|held by')}{alert.holder or '-'}{lease}{late}"


# ---- volunteers


@command(app, "enrol")
def enrol(
    desk: Desk,
    group: GroupArgument,
    consent: Annotated[Path, typer.Option("--consent", help="Their signed consent: only its SHA-256 is kept.")],
) -> None:
    """Enrol (登记志愿者) a volunteer of your county; prints the pseudonym that your county keeps beside the name."""
    question = wire.Enrolment(group=group, consent=paper_digest(consent))
    _show_volunteer(desk, desk.call(wire.ENROL_VOLUNTEER, question, act=_act(desk)))


@command(app, "withdraw")
def withdraw(
    desk: Desk,
    name: Annotated[str, typer.Argument(metavar="VOLUNTEER", help="The pseudonym, such as v-7kq2mx."), small],
) -> None:
    """Take a volunteer off the roster (志愿者退出) who withdrew their consent."""
    _show_volunteer(desk, desk.call(wire.WITHDRAW_VOLUNTEER, name, act=_act(desk)))


def _show_volunteer(desk: Desk, outcome: wire.VolunteerOutcome) -> None:
    desk.show(outcome, (volunteer_line(outcome.volunteer),) if outcome.volunteer else ())


def volunteer_line(volunteer: Volunteer) -> str:
    left = f"  {said('退出|left')} {volunteer.left}" if volunteer.left else ""
    return f"{volunteer.name}  {volunteer.group}  {said('登记|enrolled')} {volunteer.enrolled}{left}"


@command(app, "patrol")
def patrol(
    desk: Desk,
    group: GroupArgument,
    by: Annotated[list[str], typer.Option("--by", help="Who went (代号), several.")],
    area: Annotated[str, typer.Option("--area", help="An area (片区) of the duty sheet: no point, no village.")],
    found: Annotated[int, typer.Option("--found", min=0, max=1000, help="Problems found (发现问题).")] = 0,
    fixed: Annotated[int, typer.Option("--fixed", min=0, max=1000, help="Problems mended (整改).")] = 0,
    day: DayOption = None,
) -> None:
    """Tell a patrol (巡护) of volunteers: a day, an area, how many problems were found and mended."""
    report = wire.PatrolReport(group=group, day=_day(day), area=area, volunteers=tuple(by), found=found, fixed=fixed)
    outcome = desk.call(wire.REPORT_PATROL, report, act=_act(desk))
    desk.show(outcome, (patrol_line(outcome.patrol),) if outcome.patrol else ())


@command(app, "patrols")
def patrols(
    desk: Desk,
    group: GroupArgument,
    paging: Paging,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day (today).")] = None,
) -> None:
    """List (巡护清单) the patrols of a group by day, and what they come to."""
    query = wire.PatrolQuery(group=group, first_day=first.date(), last_day=_day(last))
    page = desk.read(wire.LIST_PATROLS, query, paging, act=_act(desk))
    lines = (*(activity_lines(page.activity) if page.activity else ()), *map(patrol_line, page.lines))
    desk.show_page(page, lines, noun="patrols")


def activity_lines(activity: Activity) -> Iterator[str]:
    yield (
        f"{said('名册|on the roster')} {activity.roster}  {said('巡护|patrols')} {activity.patrols}"
        f"  {said('发现问题|found')} {activity.found}  {said('整改|mended')} {activity.fixed}"
    )


def patrol_line(patrol: Patrol) -> str:
    names = listed(patrol.volunteers)
    given = f"{said('发现|found')} {patrol.found}  {said('整改|mended')} {patrol.fixed}"
    return f"{patrol.day}  {patrol.area}  {given}  {names}"


def _day(given: datetime | None) -> date:
    return given.date() if given is not None else china_today()
