"""`bridgehead alert`: alerts between the duty desks of neighbours (警情): raised, claimed, stamped, handed over, ended.

An alert is named by its number (编号) or its record. Each act is done for a desk: `--desk`, or the one desk of the
office that the alert was told to. What looks like a person in a text is refused before anything is sent, by the name of
the pattern and without what was typed. The exit code is 1 when another province refused the entry, or it has no effect.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import Struct

from federation.cli import alert_island, alert_rows
from federation.cli.alert_cards import REASONS_OF_ALERTS, alert_lines, kept_words, link_lines, view_lines
from federation.cli.alert_files import kind_lines, proposal_lines, read_cap
from federation.cli.alert_island import OfflineOption, kept_offline
from federation.cli.alert_words import LATE, ORIGINS, RESULTS, STAGES, WHYS, choose, find_instant
from federation.cli.cases import entry_lines, pairs
from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, FullOption, Paging, command, end, now, show_in
from federation.cli.show import say, to_json
from federation.cli.tree import identifier, small
from federation.domain.alert_acts import ALERT_ACTS
from federation.domain.alert_line import AlertLine
from federation.domain.alert_texts import verify_texts
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.domain.personal import verify_impersonal
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import format_time
from federation.wire.agency import alerts as wire
from federation.wire.agency.cases import DeliveryState, EntryLine, EntryQuery
from federation.wire.rpc import Ruling

USUAL: Final = ("alert.duty", "F12")
"""Looking at what a desk has; an act is done for the purpose and function of its kind."""
app = typer.Typer(name="alert", no_args_is_help=True, help="Alerts between duty desks (警情).")
LEADER: Final = ".leader"
"""The end of the name of a leader's post, which holds nothing."""
EVERY_PAGE: Final = Paging(1000, "", everything=True)
_said: Final = partial(typer.Option, rich_help_panel="What is said")

AlertArgument = Annotated[
    str, typer.Argument(metavar="ALERT", help="The alert, by its number (编号) or record."), identifier
]
DeskOption = Annotated[
    str, typer.Option("--desk", envvar="BRIDGEHEAD_DESK", help="Your desk (席位), such as 330822.governance."), small
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why (理由): no names, no numbers of persons.")]
NEXT_STEPS.update({
    "ALERT_ACT": "查看现在可以办什么：bridgehead alert show | see what may be done now: bridgehead alert show",
    "ALERT_ENDED": "另行首报，并关联：alert link | raise another one, and link the two: bridgehead alert link",
    "ALERT_FORM": "照 --help 改正上列一项 | mend the field that is named as --help says",
    "ALERT_FULL": "办结后另行首报 | close it, and raise another one",
    "ALERT_KIND_REFUSED": "按所列依据办理，不作警情 | handle it as the rule named says; it is no alert",
    "ALERT_KIND_UNKNOWN": "查看警情类别：bridgehead alert kinds | see the kinds: bridgehead alert kinds",
    "ALERT_UNKNOWN": "只由收到通报的席位办理，核对编号 | only who was told acts: bridgehead alert list --ended",
    "CAP_ENCODING": "请原单位另存为 UTF-8 | have its sender save it as UTF-8",
    "CAP_SIZE": "请原单位缩短报文 | have its sender shorten the file",
    "CLOSE_UNARRIVED": "先登记到场，或加 --by-phone --reason | stamp the arrival, or close with --by-phone --reason",
    "DEPUTY_NOT_YET": "等待其一分钟未签收或无人值守 | wait until nobody claimed it for a minute, or nobody is on there",
    "DESK_NOT_FOR_KIND": "换用承担该类警情的席位：--desk | take a desk that takes this kind: --desk",
    "DESK_NOT_OF_AGENCY": "换用本单位的席位：--desk | take a desk of your own office: --desk",
    "HAND_OVER_LAPSED": "请对方重新移交 | have it handed over once more: bridgehead alert hand-over",
    "HELD_BY_OTHER": "请配合处置，情况写入记事：alert note | please help; tell what you know: bridgehead alert note",
    "ISSUED_BY": "写作“330822 常山县人民政府” | write it as '330822 常山县人民政府': --issued-by",
    "LATE_REASON": f"写明超时原因：--late，可填{'、'.join(LATE.values())} | say why: --late, one of {', '.join(LATE)}",
    "LATE_UNSAID": "写明原因：--late other --reason | say it: --late other --reason",
    "LEVEL_ISSUER": "请原发布单位调整或者解除 | have the body that issued it lower or lift it",
    "LEVEL_NONE": "去掉 --level，改用 --priority 特急、紧急、一般 | leave --level out, give a --priority",
    "LEVEL_UNKNOWN": "写红、橙、黄或蓝：--level | write red, orange, yellow or blue: --level",
    "LINK_STATUS": "只关联同为真实或者同为演练的警情 | link two real ones, or two exercises",
    "NOT_HOLDER": "先签收：bridgehead alert claim | claim it first: bridgehead alert claim",
    "NOT_LEADER": "以该席位值班领导的岗位办理：--desk | act for the post that leads the desk: --desk",
    "NOT_OFFERED": "由移交所指的席位接收：--desk | the desk that it was offered to accepts it: --desk",
    "NOT_RAISER": "请首报单位办理，或写记事 | have who raised it do it, or keep a note: bridgehead alert note",
    "STAMP_NOT_OF_KIND": "查看该类警情的时点：bridgehead alert show | see the stages of it: bridgehead alert show",
    "STAMP_OUT_OF_ORDER": "先登记已联系，或加 --reason | stamp 'contacted' first, or say why not: --reason",
    "TEXT_PERSONAL": "删去上列内容后重试 | take that out and run it again",
    "UPDATE_CONFLICT": "先看最新内容再续报：alert show | look at what it says now, then update: bridgehead alert show",
})  # fmt: skip


class Content(Struct, frozen=True, kw_only=True):
    """The words of a raise or an update: fields of the act, and texts as items; of a person in one item alone."""

    fields: Mapping[str, str]
    items: tuple[CaseItem, ...]

    def over(self, fields: Mapping[str, str], items: tuple[CaseItem, ...]) -> Content:
        """Returns this content with those fields and classes of items of another that it does not have itself."""
        anew = {item.kind for item in self.items}
        kept = tuple(item for item in items if item.kind not in anew and not item.closed)
        return Content(fields={**fields, **self.fields}, items=(*kept, *self.items))


def open_content(
    *,
    areas: Annotated[list[str] | None, _said("--area", help="Where (区域), as the duty table names it.")] = None,
    divisions: Annotated[list[str] | None, _said("--division", help="Where (区划代码): 6, 9, 12 digits.")] = None,
    place: Annotated[str, _said("--place", help="The place (地点) in words.")] = "",
    point: Annotated[str, _said("--point", metavar="LAT,LON", help="The place, WGS 84.")] = "",
    fact: Annotated[str, _said("--fact", help="What happened (警情).")] = "",
    details: Annotated[
        list[str] | None, _said("--detail", metavar="NAME=VALUE", help="A fact that alert kinds KIND names.")
    ] = None,
    ticked: Annotated[list[str] | None, _said("--tick", help="What is so (勾选), such as threat.")] = None,
    area_m2: Annotated[int | None, _said("--area-m2", min=0, help="On fire (过火面积): square metres.")] = None,
    dead: Annotated[int | None, _said("--dead", min=0, help="How many died (死亡).")] = None,
    hurt: Annotated[int | None, _said("--hurt", min=0, help="How many are hurt (受伤).")] = None,
    person: Annotated[
        list[str] | None, _said("--person", metavar="NAME=VALUE", help="Who it is: seen with --tick family_consent.")
    ] = None,
    contact: Annotated[str, _said("--contact", help="The desk's telephone (席位电话).")] = "",
    priority: Annotated[str, _said("--priority", help="特急 flash, 紧急 urgent, 一般 routine.")] = "",
    level: Annotated[str, _said("--level", help="红橙黄蓝 red orange yellow blue.")] = "",
    issued_by: Annotated[str, _said("--issued-by", help="Whose colour: '330822 常山县人民政府'.")] = "",
    document: Annotated[str, _said("--document", help="By which paper (文号).")] = "",
    expires: Annotated[str, _said("--expires", help="Until when: a time, or minutes from now.")] = "",
) -> Content:
    """Takes what is said into fields and items; a private telephone is refused (TEXT_PERSONAL)."""
    verify_impersonal(contact, field="contact")
    numbers = {"area_m2": area_m2, "dead": dead, "hurt": hurt}
    said = {
        "area": ",".join(areas or ()), "division": ",".join(divisions or ()), "issued_by": issued_by,
        "document": document, "priority": choose(priority, alert_rows.PRIORITIES, "--priority"),
        "level": choose(level, alert_rows.LEVELS, "--level"),
        "expires": format_time(find_instant(expires, "--expires")) if expires else "", "ticked": ",".join(ticked or ()),
        **{name: "" if each is None else str(each) for name, each in numbers.items()},
    }  # fmt: skip
    where = {"village": place, "point": point}
    items = {
        "fact": {"text": fact}, "place": where, "contact": {"phone": contact},
        "detail": dict(pairs(details or ())), "person": dict(pairs(person or ())),
    }  # fmt: skip
    filed = ((kind, _there(fields)) for kind, fields in items.items())
    made = (CaseItem(kind=kind, fields=fields) for kind, fields in filed if fields)
    return Content(fields=_there(said), items=tuple(made))


# ---- commands


@command(app, "raise", usual=USUAL, content=open_content)
def raise_(
    desk: Desk,
    content: Content,
    own: DeskOption,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The kind (类别), as alert kinds has them.")] = "",
    origin: Annotated[str, typer.Option("--origin", help="110, 12345, sensor, caller, patrol.")] = "",
    file: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="Raise what this CAP file says.")] = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="An exercise (演练).")] = False,
    test: Annotated[bool, typer.Option("--test", help="A test (测试).")] = False,
) -> None:
    """Raise (首报) an alert: every desk that the duty table names for it is told."""
    said = {"status": Status.EXERCISE.value if exercise else Status.TEST.value if test else Status.ACTUAL.value}
    if file is not None:
        found = propose(desk, file, own)
        content = content.over(found.fields, found.items)
        said = {"status": content.fields["status"], "manifest": found.id} | (said if exercise or test else {})
    if not (content.fields.get("area") or content.fields.get("division")):
        raise typer.BadParameter("写明地点：--area 或 --division | say where it is: --area or --division")
    if not (kind := kind or content.fields.get("kind", "")):
        raise typer.BadParameter("写明类别 KIND | name the KIND: bridgehead alert kinds")
    _verify("raise", content.fields, content.items)
    (known,) = desk.call(wire.READ_KINDS, kind, changes=False)
    said = {"origin": choose(origin, ORIGINS, "--origin"), "division": own[:6], **content.fields, **said}
    fields = _there({**said, "kind": known.id, "desk": own})
    act = desk.act(known.purpose, known.function)
    outcome = desk.call(wire.RAISE_ALERT, wire.AlertRaising(fields=fields, items=content.items), act=act)
    _show_outcome(desk, outcome, steps=(*_proposed(outcome.line), *_beside(desk, outcome.line)))


@command(app, "update", usual=USUAL, content=open_content)
def update(desk: Desk, content: Content, alert: AlertArgument, own: DeskOption = "") -> None:
    """Update (续报): what is not said anew is said again as it stands."""
    line = line_of(desk, alert)
    anew = said_anew(_entry(desk, line, "raise", "update"), content)
    do_act(desk, line, "update", own, anew.fields, anew.items)


@command(app, "cancel", usual=USUAL)
def cancel(
    desk: Desk,
    alert: AlertArgument,
    why: Annotated[str, typer.Option("--why", help="解除预警 lifted, 误报 false_alarm, 重复 duplicate, 其他 other.")],
    issued_by: Annotated[str, typer.Option("--issued-by", help="Who lifts an issued colour: who issued it.")] = "",
    document: Annotated[str, typer.Option("--document", help="By which paper (文号).")] = "",
    own: DeskOption = "",
) -> None:
    """Cancel (撤销) an alert that your office raised: a false alarm, or one that is lifted."""
    said = _there({"why": choose(why, WHYS, "--why"), "issued_by": issued_by, "document": document})
    do_act(desk, _reminded(desk, alert), "cancel", own, said)


@command(app, "claim", usual=USUAL)
def claim(desk: Desk, alert: AlertArgument, own: DeskOption = "", offline: OfflineOption = None) -> None:
    """Claim (签收) an alert: your desk answers for it from now on."""
    with kept_offline(desk, offline, "claim", alert, fields=_there({"desk": own}), at=now()) as reached:
        do_act(reached, line_of(reached, alert), "claim", own)


@command(app, "release", usual=USUAL)
def release(desk: Desk, alert: AlertArgument, reason: ReasonOption, own: DeskOption = "") -> None:
    """Give a claim back (退回): the alert waits to be claimed again."""
    do_act(desk, line_of(desk, alert), "release", own, {"reason": reason})


_STAGE_HELP: Final = (
    "已联系 contacted, 已到场 arrived; of fraud: 已请求止付 stop_asked, 已见面劝阻 visited; "
    "of water: 已取样 sampled; of a sensor: 已确认 confirmed; of a forest fire: 明火已扑灭 flame_out."
)


@command(app, "stamp", usual=USUAL)
def stamp(
    desk: Desk,
    alert: AlertArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help=_STAGE_HELP)],
    late: Annotated[str, typer.Option("--late", help="Why it is late (超时原因), such as road.")] = "",
    reason: ReasonOption = "",
    made: Annotated[str, typer.Option("--made", help="When it was, entered afterwards (补录).")] = "",
    device: Annotated[str, typer.Option("--device", help="With --made: the device it was written on.")] = "",
    unit: Annotated[str, typer.Option("--unit", help="The unit that went (出动力量).")] = "",
    place: Annotated[str, typer.Option("--place", help="Where it is (地点).")] = "",
    point: Annotated[str, typer.Option("--point", metavar="LAT,LON", help="Where it is, WGS 84.")] = "",
    own: DeskOption = "",
    offline: OfflineOption = None,
) -> None:
    """Stamp (登记时点) a stage: somebody was contacted, or help has arrived. A local file keeps no place."""
    at = find_instant(made, "--made") if made else now()
    said = _there({
        "stage": choose(stage, STAGES, "STAGE"), "late": choose(late, LATE, "--late"), "reason": reason,
        "device": device, "unit": unit,
    })  # fmt: skip
    _verify("stamp", said, ())
    where = _there({"village": place, "point": point})
    with kept_offline(desk, offline, "stamp", alert, fields=_there({"desk": own, **said}), at=at) as reached:
        line = line_of(reached, alert)
        _verify_in_time(line, said, at)
        items = (CaseItem(kind="place", fields=where),) if where else ()
        do_act(reached, line, "stamp", own, {**said, "made": format_time(at) if made else ""}, items)


def _verify_in_time(line: AlertLine, said: Mapping[str, str], at: datetime) -> None:
    running = next((each for each in line.stages if each.stage == said["stage"] and each.at is None), None)
    if running is not None and at > running.due and "late" not in said:
        raise MalformedError("LATE_REASON", "请填写超时原因 | say why it is late", field="late")


@command(app, "hand-in", usual=USUAL)
def hand_in(
    desk: Desk, file: Annotated[Path, typer.Argument(metavar="FILE", help="The local file (本地登记).")]
) -> None:
    """Hand in (补录) what was claimed and stamped while the node was away: each once, however often it is handed in."""
    done = tuple(alert_island.hand_in(desk, file))
    steps = [NEXT_STEPS[reason] for reason in dict.fromkeys(each.reason for each in done) if reason in NEXT_STEPS]
    show_in(desk.form, {"lines": to_json(done)}, map(alert_island.handed_in_line, done), steps=steps)
    end(int(not all(each.took for each in done)))


@command(app, "hand-over", usual=USUAL)
def hand_over(
    desk: Desk,
    alert: AlertArgument,
    to: Annotated[str, typer.Argument(metavar="DESK", help="The desk that is to have it."), small],
    own: DeskOption = "",
) -> None:
    """Hand over (移交) an alert: your desk holds it until the other one accepts."""
    do_act(desk, line_of(desk, alert), "hand_over", own, {"to": to})


@command(app, "withdraw", usual=USUAL)
def withdraw(desk: Desk, alert: AlertArgument, own: DeskOption = "") -> None:
    """Withdraw (撤回移交) a hand-over that nobody has accepted yet."""
    _answer(desk, alert, "withdraw_hand_over", own)


@command(app, "accept", usual=USUAL)
def accept(desk: Desk, alert: AlertArgument, own: DeskOption = "") -> None:
    """Accept (接收移交) an alert that is offered to your desk."""
    _answer(desk, alert, "accept_hand_over", own)


@command(app, "reject", usual=USUAL)
def reject(desk: Desk, alert: AlertArgument, reason: ReasonOption, own: DeskOption = "") -> None:
    """Reject (不予接收) an alert that is offered to your desk."""
    _answer(desk, alert, "reject_hand_over", own, {"reason": reason})


@command(app, "close", usual=USUAL)
def close(
    desk: Desk,
    alert: AlertArgument,
    result: Annotated[
        str, typer.Argument(metavar="RESULT", help="已处置 handled, 未发现异常 no_fault_found, handed_to_110, to_case.")
    ],
    by_phone: Annotated[bool, typer.Option("--by-phone", help="Solved by phone (电话办结): give a reason.")] = False,
    reason: ReasonOption = "",
    own: DeskOption = "",
) -> None:
    """Close (办结) an alert that your desk holds."""
    said = {"result": choose(result, RESULTS, "RESULT"), "by_phone": "yes" if by_phone else "", "reason": reason}
    do_act(desk, _reminded(desk, alert), "close", own, said)


OtherArgument = Annotated[
    str, typer.Argument(metavar="OTHER", help="The other alert, by its number or record."), identifier
]


@command(app, "link", usual=USUAL)
def link(desk: Desk, alert: AlertArgument, other: OtherArgument, own: DeskOption = "") -> None:
    """Link (关联) two alerts of one matter; it counts once when both sides have linked it."""
    line = line_of(desk, alert)
    do_act(desk, line, "link", own, {"other": _record(desk, other), "status": line.status.value})


@command(app, "unlink", usual=USUAL)
def unlink(desk: Desk, alert: AlertArgument, other: OtherArgument, own: DeskOption = "") -> None:
    """Undo a link (取消关联)."""
    do_act(desk, line_of(desk, alert), "unlink", own, {"other": _record(desk, other)})


@command(app, "note", usual=USUAL)
def note(
    desk: Desk,
    alert: AlertArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be known: nothing of a person.")],
    own: DeskOption = "",
) -> None:
    """Keep a note (记事) that every desk of the alert reads."""
    do_act(desk, line_of(desk, alert), "note", own, {}, (CaseItem(kind="fact", fields={"text": text}),))


@command(app, "excuse", usual=USUAL)
def excuse(
    desk: Desk,
    alert: AlertArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="签收 accepted, or as alert stamp has them.")],
    why: Annotated[str, typer.Option("--why", help="现场危险待援 danger, 联系不上当事人 caller.")],
    own: DeskOption,
    reason: ReasonOption = "",
) -> None:
    """Excuse (说明有因) a late stage of a desk that your post leads: it stays late."""
    causes = {each: LATE[each] for each in ("danger", "caller")}
    said = {"stage": choose(stage, {"accepted": "签收", **STAGES}, "STAGE"), "why": choose(why, causes, "--why")}
    do_act(desk, line_of(desk, alert), "excuse", own, _there({**said, "reason": reason}))


@command(app, "keep", usual=USUAL)
def keep(
    desk: Desk,
    alert: AlertArgument,
    document: Annotated[str, typer.Option("--document", help="The assessment (评估文书) that wants it.")],
    own: DeskOption = "",
) -> None:
    """Keep (留作证据) what your alert says as evidence, beyond the day on which it is destroyed else."""
    do_act(desk, line_of(desk, alert), "keep_as_evidence", own, {"document": document})


@command(app, "show", usual=USUAL)
def show_alert(desk: Desk, alert: AlertArgument, full: FullOption = False) -> None:
    """Show (查看) an alert: what it says, its clocks, who holds it, what you may do now."""
    view, _ = _view(desk, alert)
    desk.show(view, view_lines(view, now(), full=full), full=full)


@command(app, "history", usual=USUAL)
def history(desk: Desk, paging: Paging, alert: AlertArgument, full: FullOption = False) -> None:
    """List the entries (经过) of an alert in their order, as far as you may see them."""
    page = desk.read(wire.LIST_ALERT_ENTRIES, EntryQuery(case=alert), paging)
    _verify_known(desk, page.decision)
    lines = (text for line in page.lines for text in entry_lines(line, REASONS_OF_ALERTS, full=full))
    desk.show_page(page, lines, noun="entries", full=full)


@command(app, "list", usual=USUAL)
def list_(
    desk: Desk,
    paging: Paging,
    own: DeskOption = "",
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, too (含已结束).")] = False,
    exercise: Annotated[bool, typer.Option("--exercise", help="Exercises alone (演练).")] = False,
    test: Annotated[bool, typer.Option("--test", help="Tests alone (测试).")] = False,
) -> None:
    """List the alerts (警情清单) of your desks, what presses most first; tab-separated in a pipe."""
    status = Status.EXERCISE if exercise else Status.TEST if test else Status.ACTUAL
    query = wire.AlertQuery(status=status, open_only=not ended, desk=own)
    page = desk.read(wire.LIST_ALERTS, query, paging)
    rows = alert_rows.rows_of(page.lines, now())
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        lines = iter(alert_rows.screen_lines(rows, alert_rows.look_of(sys.stdout, os.environ, columns=columns)))
    else:
        lines = alert_rows.pipe_lines(rows)
    desk.show_page(page, lines, noun="alerts", data={"lines": [alert_rows.row_json(row) for row in rows]})


@command(app, "import", usual=USUAL)
def import_(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CAP 1.2 file (报文).")],
    own: DeskOption,
) -> None:
    """Read (导入) a CAP file as a proposal on your desk; nothing is raised by it."""
    found = propose(desk, file, own)
    again = f"bridgehead alert raise {found.fields.get('kind', 'KIND')} --from {file} --desk {own}"
    desk.show(found, proposal_lines(found), steps=(f"核对后首报 | check it, then raise it: {again}",))


@command(app, "export", usual=USUAL)
def export(
    desk: Desk,
    alert: AlertArgument,
    entry: Annotated[
        str, typer.Option("--entry", help="One message, by the name of its entry (the newest)."), small
    ] = "",
) -> None:
    """Write (导出) an alert as a CAP 1.2 file: bridgehead alert export ALERT > alert.xml."""
    answer = desk.call(wire.EXPORT_ALERT, wire.AlertExport(alert=alert, entry=entry), changes=False)
    _verify_known(desk, answer.decision)
    text = answer.content.decode()
    desk.show(answer, (text.removesuffix("\n"),), data={"content": text})


@command(app, "kinds", usual=USUAL)
def kinds(desk: Desk, kind: Annotated[str, typer.Argument(metavar="[KIND]", help="Without one, all.")] = "") -> None:
    """List the kinds of alert (警情类别) that the provinces agreed on; of one, what may cross and what never does."""
    found = desk.call(wire.READ_KINDS, kind, changes=False)
    desk.show(found, kind_lines(found, whole=bool(kind)), data={"kinds": to_json(found)})


# ---- what they share


_UPDATED: Final = {each.name for each in ALERT_ACTS["update"].fields} - {"desk", "about", "cap_id"}


def propose(desk: Desk, file: Path, own: str) -> wire.CapProposal:
    """A file as the node reads it; where that proposes nothing, its faults or policy's no end the command with 1."""
    found = desk.call(wire.IMPORT_CAP, wire.CapUpload(content=read_cap(file), desk=own), changes=False)
    if not found.id:
        desk.show(found, proposal_lines(found), code=1)
    return found


def _there(said: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in said.items() if value}


def line_of(desk: Desk, alert: str) -> AlertLine:
    """An alert as it stands for the office; one that it may not read ends the command with 1."""
    return _view(desk, alert)[1]


def _view(desk: Desk, alert: str) -> tuple[wire.AlertView, AlertLine]:
    view = desk.call(wire.READ_ALERT, alert, changes=False)
    _verify_known(desk, view.decision)
    if view.line is None:
        raise typer.Exit(1)
    return view, view.line


def _verify_known(desk: Desk, ruling: Ruling) -> None:
    """Ends the command with 1 for an alert that is not there, or that no desk of the office was told of."""
    if not ruling.allowed:
        desk.refuse(ruling, steps=(NEXT_STEPS["ALERT_UNKNOWN"],))


def _reminded(desk: Desk, alert: str) -> AlertLine:
    """An alert before it ends: says how long it is kept then; who would destroy it at once is asked at a terminal."""
    view, line = _view(desk, alert)
    if kept := kept_words(view):
        say(kept)
    if not (view.is_evidence or view.kept_days) and sys.stdin.isatty() and sys.stdout.isatty():
        typer.confirm("仍要结束？ End it all the same?", abort=True)
    return line


def _record(desk: Desk, alert: str) -> str:
    """A record as it is, and the record of a number."""
    return alert if "/" in alert else str(line_of(desk, alert).record)


def _entry(desk: Desk, line: AlertLine, *acts: str) -> EntryLine:
    page = desk.read(wire.LIST_ALERT_ENTRIES, EntryQuery(case=line.record), EVERY_PAGE)
    return newest(page.lines, *acts)


def newest(entries: Iterable[EntryLine], *acts: str) -> EntryLine:
    """The newest entry with effect that did one of these acts. Refuses HAND_OVER_LAPSED when there is none."""
    found = [each for each in entries if each.act in acts and not each.without_effect]
    if not found:
        zh, en = REASONS_OF_ALERTS["HAND_OVER_LAPSED"]
        raise RuleError("HAND_OVER_LAPSED", f"{zh} | {en}")
    return found[-1]


def said_anew(standing: EntryLine, content: Content) -> Content:
    """An update of the content that stands: what is not said anew is said again as it stands."""
    kept = {name: value for name, value in standing.fields.items() if name in _UPDATED}
    whole = content.over(kept, standing.items)
    return replace(whole, fields={**whole.fields, "about": standing.name})


def _answer(desk: Desk, alert: str, act: str, own: str, said: Mapping[str, str] | None = None) -> None:
    line = line_of(desk, alert)
    do_act(desk, line, act, own, {"about": _entry(desk, line, "hand_over").name, **(said or {})})


def do_act(
    desk: Desk,
    line: AlertLine,
    name: str,
    own: str,
    said: Mapping[str, str] | None = None,
    items: tuple[CaseItem, ...] = (),
) -> None:
    """Does one act for the purpose and function of its kind (TEXT_PERSONAL)."""
    fields = _there({"desk": own or own_desk(line), **(said or {})})
    _verify(name, fields, items)
    step = wire.AlertStep(alert=line.record, name=name, fields=fields, items=items)
    outcome = desk.call(wire.ACT_IN_ALERT, step, act=desk.act(line.purpose, line.function))
    _show_outcome(desk, outcome)


def _verify(act: str, fields: Mapping[str, str], items: tuple[CaseItem, ...]) -> None:
    """Refuses what looks like a person, before it is sent (TEXT_PERSONAL)."""
    verify_texts(items, fields, act=act)
    verify_impersonal(fields.get("reason", ""), field="reason")


def own_desk(line: AlertLine) -> str:
    """The desk that acts when none is named: the one that holds it or is offered it, or the only one."""
    for desk in (line.offer_to, line.holder):
        if desk in line.desks:
            return desk
    desks = [desk for desk in line.desks if not desk.endswith(LEADER)] or line.desks or (line.raised_by,)
    if len(desks) > 1:
        raise typer.BadParameter(f"写明席位：--desk | name your desk: --desk ({', '.join(desks)})")
    return desks[0]


def _show_outcome(desk: Desk, outcome: wire.AlertOutcome, *, steps: tuple[str, ...] = ()) -> None:
    entry, line = outcome.entry, outcome.line
    lines = [
        *(() if line is None else alert_lines(line, now())),
        *(() if entry is None else entry_lines(entry, REASONS_OF_ALERTS)),
    ]
    refused = entry is not None and any(sent.state is DeliveryState.REFUSED for sent in entry.deliveries)
    void = entry is not None and bool(entry.without_effect)
    desk.show(outcome, lines, steps=steps, code=int(refused or void))


def _beside(desk: Desk, line: AlertLine | None) -> tuple[str, ...]:
    """The alerts that may be the same event; none where the node cannot say: the alert was raised all the same."""
    if line is None:
        return ()
    try:
        view = desk.call(wire.READ_ALERT, line.record, changes=False)
    except BridgeheadError:
        return ()
    return tuple(each.strip(" !") for each in link_lines(view))


def _proposed(line: AlertLine | None) -> tuple[str, ...]:
    if line is None or not line.level or line.issued:
        return ()
    zh = "预警级别须注明发布单位和文号，现按建议显示：--issued-by、--document"
    return (f"{zh} | a colour names who issued it and the paper; it is shown as proposed",)
