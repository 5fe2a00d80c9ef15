"""`bridgehead case`: joint cases of several provinces (联办案件): opened, joined, worked, shown, listed, traced.

A case is named by its code (一案一码). What is filed with an act crosses field by field, each to whom the procedure
gives it. `case act CODE` without an act says what may be done now and what is missing for the rest, with its rule. The
exit code is 1 when another province refused the entry.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from federation.cli import case_chart
from federation.cli.case_ledger import ledger_lines, read_ledger
from federation.cli.completion import complete_case
from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, Form, FullOption, Paging, command, now, read_line
from federation.cli.show import fields_text, item_line, local_minute, show_lines
from federation.cli.tree import identifier
from federation.cli.words import (
    WORDS,
    condensed,
    enclosed,
    overdue_mark,
    pair,
    punctuated,
    said,
    sentences,
    titled,
    word,
)
from federation.domain.acts import ACTS, EVERYWHERE
from federation.domain.case_items import CaseItem
from federation.domain.clock import CHINA_TIME
from federation.domain.joint_offers import REASONS
from federation.domain.joint_policy import CaseLine
from federation.domain.leave import SECRET, TODAY_FUNCTION, TODAY_PURPOSE, make_token, parse_token, token_digest
from federation.domain.lookups import Outcome
from federation.protocol.errors import MalformedError
from federation.wire.agency import cases as wire
from federation.wire.agency.cases import CaseOpening, CaseStep, DueQuery, EntryQuery
from federation.wire.rpc import Act, PageQuery

_FULL: Final = re.compile("[0-9a-f]{64}")
_EVERYTHING: Final = Paging(1000, "", everything=True)
PAPER_FORM: Final = "a paper of the case by its file's name, or 64 digits"
app = typer.Typer(name="case", no_args_is_help=True, help="Joint cases of several provinces (联办案件).")
USUAL: Final = ("dispute.mediation", "F09")

CodeArgument = Annotated[
    str,
    typer.Argument(metavar="CODE", help="The case, by its code (一案一码) or record.", autocompletion=complete_case),
    identifier,
]
FieldOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A field of the act; lists with commas.")
]
ItemOption = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="CLASS;NAME=VALUE;...", help="What is filed, such as fact;text=...;agreed=both."),
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why (理由).")]
WORDS["Standing"] = {
    "member": "参与", "invited": "受邀", "former": "已退出", "stranger": "未参与", "waiting": "等待记录",
}  # fmt: skip
_UNSURE: Final = {
    "unread": "未经法律核对|not legally verified",
    "programme": "协议目标，非法定|a target, no law",
}
_ARRIVED: Final = "收到|arrived"
WORDS["DeliveryState"] = {"received": "已签收", "refused": "未接收", "waiting": "传送中", "undelivered": "未送达"}
NEXT_STEPS.update({
    "CASES_MANY": "缩短统计期间：--since | count from a later day: --since",
    "CASE_ACT": "查看现在可以办什么：bridgehead case act CODE | see what may be done now: bridgehead case act CODE",
    "CASE_CODE": "核对一案一码的17位数字 | check the 17 digits of the code",
    "CASE_FIELD": "查看各项写法：bridgehead case act CODE | see how the fields are written: bridgehead case act CODE",
    "CASE_ITEM_CLASS": "换用上列类别之一：--item | take one of the classes named: --item",
    "CASE_ITEM_FIELD": "改正上列一项 | mend the field that is named",
    "CASE_ITEM_MANY": "分几次提交 | file it in several acts",
    "CASE_ITEM_NAMES_PERSON": "号码只写入 number 一项 | a number stands in the field number alone",
    "CASE_MOVED": "重新提交一次 | send it once more",
    "CASE_ROLE": "换用上列角色之一：bridgehead case lists | take one of the roles named: bridgehead case lists",
    "CASE_RULES": "稍候再试：节点正在取案件所依据的协议版本 | try again shortly: the node is fetching that version",
    "HEAD_NAMES_PERSON": "号码只写入 number 一项：--item | a number stands in an item's field number alone: --item",
    "HEAD_SIZE": "写短些，或分几次办理 | say it shorter, or in several acts",
    "ITEM_ERASED": "重新登记后再提供 | enter it again in an entry of its own",
    "ITEM_UNKNOWN": "查看记录内容：bridgehead case history CODE | see its items: bridgehead case history CODE",
    "PROCEDURE_UNKNOWN": "查看有哪些程序：bridgehead case lists | see which there are: bridgehead case lists",
    "QUOTA_TODAY": "次日再核验，或致电发放单位 | go on tomorrow, or call the office that issued it",
    "SUM_ABOVE_CLAIM": "核对金额；确属更高，写明理由：--reason | check the sum; if it is right, say why: --reason",
    "TOKEN_FORM": "照凭证重新输入，最后一位与前面相符 | type it again as it is printed: its last sign fits the others",
    "TOKEN_HOME": "核对前六位：发放凭证的县 | check the first six digits: the county that issued it",
    "WATCH_TOKEN": "不加 --after 重新开始 | begin anew, without --after",
})  # fmt: skip


@command(app, "open", usual=USUAL)
def open_case(
    desk: Desk,
    procedure: Annotated[str, typer.Argument(metavar="PROCEDURE", help="Such as dispute-mediation.")],
    role: Annotated[str, typer.Option("--role", help="Your role (角色), as case lists names it.")],
    division: Annotated[str, typer.Option("--division", help="Where the matter lies: 6, 9 or 12 digits.")],
    fields: FieldOption = None,
    items: ItemOption = None,
) -> None:
    """Open (立案) a joint case under a procedure."""
    asked = CaseOpening(
        procedure=procedure, role=role, division=division, fields=dict(pairs(fields or ())), items=_items(items or ())
    )
    _show_outcome(desk, desk.call(wire.OPEN_CASE, asked, act=_act_of(desk, procedure)))


@command(app, "act", usual=USUAL)
def act(
    desk: Desk,
    code: CodeArgument,
    name: Annotated[str, typer.Argument(metavar="[ACT]", help="The act; without one, what may be done now.")] = "",
    fields: FieldOption = None,
    items: ItemOption = None,
    reason: ReasonOption = None,
) -> None:
    """Do one act (办理) in a case, or see what may be done now and what is missing for the rest."""
    if not name:
        view = desk.call(wire.READ_CASE, code, changes=False)
        desk.show(view, offer_lines(view.offers))
        return
    do_act(desk, code, name, fields or (), items or (), reason)


@command(app, "invite", usual=USUAL)
def invite(
    desk: Desk,
    code: CodeArgument,
    office: Annotated[str, typer.Argument(metavar="AGENCY", help="province/county/kind."), identifier],
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The role that it is to have.")],
) -> None:
    """Invite (邀请) an office to take part."""
    do_act(desk, code, "invite", (f"agency={office}", f"role={role}"))


@command(app, "join", usual=USUAL)
def join(desk: Desk, code: CodeArgument) -> None:
    """Join (同意参与) a case that you are invited to."""
    do_act(desk, code, "join")


@command(app, "decline", usual=USUAL)
def decline(desk: Desk, code: CodeArgument, reason: ReasonOption = None) -> None:
    """Decline (谢绝参与) an invitation."""
    do_act(desk, code, "decline", reason=reason)


@command(app, "leave", usual=USUAL)
def leave(desk: Desk, code: CodeArgument, reason: ReasonOption = None) -> None:
    """Leave (退出) a case."""
    do_act(desk, code, "leave", reason=reason)


@command(app, "hand-over", usual=USUAL)
def hand_over(
    desk: Desk,
    code: CodeArgument,
    office: Annotated[str, typer.Argument(metavar="AGENCY", help="The member that leads from now on."), identifier],
) -> None:
    """Hand the lead over (移交牵头) to another member."""
    do_act(desk, code, "hand_over", (f"agency={office}",))


@command(app, "party", usual=USUAL)
def party(
    desk: Desk,
    code: CodeArgument,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="How the case calls the party, such as p1.")],
    side: Annotated[str, typer.Option("--side", help="A (the lead's province) or B.")] = "",
    role: Annotated[str, typer.Option("--role", help="applicant, respondent, agent, guardian or third.")] = "",
    name: Annotated[str, typer.Option("--name", help="The name (姓名、名称).")] = "",
    county: Annotated[str, typer.Option("--county", help="The county of the party: six digits.")] = "",
    number: Annotated[str | None, typer.Option("--number", help="The citizen number or USCC."), condensed] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="The telephone number.")] = None,
    minor: Annotated[bool, typer.Option("--minor", help="Under 14 (未满十四周岁).")] = False,
    amend: Annotated[bool, typer.Option("--amend", help="Complete or correct one that was entered (补正).")] = False,
) -> None:
    """Enter a party (登记当事人); name and number go field by field to whom the procedure gives them."""
    if bool(side or role) if amend else not (side and role and name and county):
        raise typer.BadParameter(
            "登记须写 --side、--role、--name、--county；--amend 不改 --side、--role"
            " | enter with --side, --role, --name, --county; --amend keeps side and role"
        )
    head = {"side": side, "role": role, "county": county, "minor": "yes" if minor else ""}
    given = {**head, "name": name, "number": number or "", "last4": (number or "")[-4:]}
    filed = (("party", given), ("contact", {"phone": phone or ""}))
    there = [(kind, {each: text for each, text in fields.items() if text}) for kind, fields in filed]
    items = tuple(CaseItem(kind=kind, fields=fields) for kind, fields in there if fields)
    fields = [f"party={tag}", *(f"{each}={text}" for each, text in head.items() if text)]
    do_act(desk, code, "amend_party" if amend else "add_party", fields, filed=items)


@command(app, "claim", usual=USUAL)
def claim(
    desk: Desk,
    code: CodeArgument,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="How the case calls the claim, such as c1.")],
    party: Annotated[str, typer.Option("--party", help="Whose it is, by tag.")],
    kind: Annotated[str, typer.Option("--kind", help="What it is about, such as wage.")],
    fen: Annotated[str | None, typer.Option("--fen", metavar="<int>", help="The sum in fen, digits alone.")] = None,
    basis: Annotated[str | None, typer.Option("--basis", help="What it stands on (依据).")] = None,
    asked: Annotated[str | None, typer.Option("--first-asked", help="First claimed on (首次主张): YYYY-MM-DD.")] = None,
) -> None:
    """Enter a claim (登记诉求)."""
    if fen is not None and not (fen.isascii() and fen.isdigit()):  # 12500.00 is meant as yuan: never taken as fen
        raise typer.BadParameter(
            "--fen：以分为单位的整数，12500 元写作 1250000 | whole fen in digits: 12500 yuan are 1250000"
        )
    given = {"kind": kind, **({"amount": fen} if fen is not None else {}), **({"basis": basis} if basis else {})}
    fields = [f"claim={tag}", f"party={party}", f"kind={kind}", *([f"sum={fen}"] if fen is not None else [])]
    fields += [f"first_asked={asked}"] if asked else []
    do_act(desk, code, "add_claim", fields, filed=(CaseItem(kind="claim", fields=given),))


@command(app, "fact", usual=USUAL)
def fact(
    desk: Desk,
    code: CodeArgument,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="How the case calls the fact, such as f1.")],
    text: Annotated[str, typer.Option("--text", help="The fact (事实): no person's number.")],
    agreed: Annotated[str, typer.Option("--agreed", help="Who agrees: both, A or B.")],
    source: Annotated[
        str | None, typer.Option("--source", help="Where it comes from, one word such as site_visit.")
    ] = None,
) -> None:
    """File a fact (登记事实)."""
    fields = [f"fact={tag}", f"agreed={agreed}", *([f"source={source}"] if source else [])]
    do_act(
        desk, code, "add_fact", fields, filed=(CaseItem(kind="fact", fields={"text": text, "agreed": agreed.lower()}),)
    )


@command(app, "close", usual=USUAL)
def close(
    desk: Desk,
    code: CodeArgument,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="How it ends, as case act CODE shows it.")],
    reason: ReasonOption = None,
) -> None:
    """Close (结案) a case."""
    do_act(desk, code, "close", (f"outcome={outcome}",), reason=reason)


@command(app, "show", usual=USUAL)
def show_case(desk: Desk, code: CodeArgument) -> None:
    """Show (查看) a case: who takes part, claims and what is owed, its clocks, what it waits for."""
    view = desk.call(wire.READ_CASE, code, changes=False)
    if view.line is None:
        desk.show(view)
        return
    ledger = read_ledger(desk.read(wire.LIST_ENTRIES, EntryQuery(case=view.line.record), _EVERYTHING).lines)
    things = {"parties": ledger.parties, "claims": ledger.claims, "obligations": ledger.obligations}
    desk.show(view, (*view_lines(view), *ledger_lines(ledger)), data={**things})


@command(app, "history", usual=USUAL)
def history(desk: Desk, paging: Paging, code: CodeArgument, full: FullOption = False) -> None:
    """List the entries (经过) of a case in their order, as far as you may see them."""
    page = desk.read(wire.LIST_ENTRIES, EntryQuery(case=code), paging)
    lines = (text for line in page.lines for text in entry_lines(line, full=full))
    desk.show_page(page, lines, noun="entries", full=full)


@command(app, "list", usual=USUAL)
def list_(desk: Desk, paging: Paging) -> None:
    """List the cases (案件清单) that your office takes part in."""
    page = desk.read(wire.LIST_CASES, PageQuery(), paging)
    desk.show_page(page, map(case_line, page.lines), noun="cases")


@command(app, "due", usual=USUAL)
def due(
    desk: Desk,
    days: Annotated[int, typer.Option("--days", min=0, max=366, help="Due within so many days.")] = 3,
    most: Annotated[int, typer.Option("--most", min=1, max=1000, help="How many at most.")] = 100,
) -> None:
    """List what is due (到期清单), the earliest first."""
    page = desk.call(wire.LIST_DUE_CASES, DueQuery(before=now() + timedelta(days=days), page_size=most), changes=False)
    more = ("还有：加 --most | there are more: --most",) if page.more else ()
    notes = (f"共 {len(page.lines)} 条 | {len(page.lines)} within {days} days", *more)
    desk.show(page, map(case_line, page.lines), notes=notes)


@command(app, "watch", usual=USUAL)
def watch(
    desk: Desk,
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many.")] = None,
    after: Annotated[str, typer.Option("--after", help="The last token that was told: go on behind it.")] = "",
) -> None:
    """Be told (值守) of your cases as they change, until Ctrl-C; first of the open ones.

    A table in a terminal, a line for each change in a pipe, with -o json an object a line.
    """
    if desk.form is Form.JSON or not sys.stdout.isatty():
        desk.watch(wire.WATCH_CASES, after, lambda news: show_lines(_news_lines(news)), count=count)
        return
    from rich.live import Live

    shown: dict[str, CaseLine] = {}
    with Live(case_chart.board([]), auto_refresh=False) as live:

        def show_news(news: wire.CaseNews) -> None:
            if news.line is not None:
                shown[news.line.record] = news.line
                live.update(case_chart.board(shown.values()), refresh=True)

        desk.watch(wire.WATCH_CASES, after, show_news, count=count)


def _news_lines(news: wire.CaseNews) -> Iterator[str]:
    if news.line is not None:
        yield f"{local_minute(news.line.changed)}  {case_line(news.line)}"


@command(app, "chart", usual=USUAL)
def chart(desk: Desk, code: CodeArgument) -> None:
    """Draw the chart (流程图) of a case as SVG: bridgehead case chart CODE > case.svg."""
    view = desk.call(wire.READ_CASE, code, changes=False)
    desk.show(view, () if view.line is None else case_chart.chart(view, now()).splitlines())


@command(app, "trace", usual=USUAL)
def trace(
    desk: Desk, code: Annotated[str, typer.Argument(metavar="CODE", help="The code (一案一码): 17 digits."), identifier]
) -> None:
    """Tell a citizen how far the case of a code is (办理进度), wherever it was opened."""
    answer = desk.call(wire.TRACE_CASE, code)
    desk.show(answer, trace_lines(answer), code=_TRACE_ENDS.get(answer.outcome, 0))


@command(app, "token", usual=USUAL)
def token(
    desk: Desk,
    code: CodeArgument,
    counties: Annotated[str, typer.Option("--counties", help="Where it says yes: six digits, several with commas.")],
    weekdays: Annotated[str, typer.Option("--weekdays", help="Such as mon,tue; without it, every day.")] = "",
) -> None:
    """Issue (发放查验码) the token of a leave, shown this once: print it and hand it to the person.

    Only its digest is kept. The newest token of a case is the one that lives, so who lost one is issued another.
    """
    made = make_token(desk.profile.agency.county, os.urandom(SECRET))
    fields = [f"token={token_digest(parse_token(condensed(made)))}", f"counties={counties}"]
    do_act(desk, code, "issue_token", (*fields, *([f"weekdays={weekdays}"] if weekdays else [])), secret=made)


@command(app, "today", usual=(TODAY_PURPOSE, TODAY_FUNCTION))
def today(
    desk: Desk,
    shown: Annotated[
        str, typer.Argument(metavar="TOKEN", help="As the person shows it, in any case; - reads it from stdin.")
    ],
) -> None:
    """Ask (核验外出凭证) whether who shows a token of a leave is authorised today: yes or no, and nothing else.

    Exit code 3 where nobody answers: it cannot be verified, which is no no.
    """
    found = parse_token(condensed(read_line(shown)))
    answer = desk.call(wire.ASK_TODAY, wire.TodayQuestion(county=found[:6], token=token_digest(found)))
    desk.show(answer, today_lines(answer), code=_TRACE_ENDS.get(answer.outcome, 0))


def today_lines(answer: wire.TodayAnswer) -> Iterator[str]:
    """The word of the answer; where there is none, whom to call."""
    if answer.authorised is not None:
        yes = "是|yes" if answer.authorised else "否|no"
        yield f"{answer.day}  {titled('今日已获批准|authorised today')}{said(yes)}"
        return
    home = f"{answer.home_name} {answer.home_phone}".strip()
    if answer.outcome is Outcome.REFUSED:
        why = ", ".join(answer.policies)
        yield said(f"{home}未答复：{why} | {home} refused: {why}")
    yield said(f"无法核实，请致电{home} | cannot be verified: call {home}")


@command(app, "figures", usual=USUAL)
def figures(
    desk: Desk,
    procedure: Annotated[str, typer.Argument(metavar="PROCEDURE", help="Such as vehicle-business.")],
    since: Annotated[
        datetime,
        typer.Option("--since", formats=["%Y-%m-%d"], metavar="DAY", help="Closed on this day or later."),
    ],
) -> None:
    """Count (统计) your office's closed cases of a procedure; in JSON each number with the entries that it counts."""
    asked = wire.FigureQuery(procedure=procedure, since=since.replace(tzinfo=CHINA_TIME))
    answer = desk.call(wire.COUNT_CASES, asked, changes=False)
    desk.show(answer, (f"{pair(line.zh, line.en)}  {line.name}: {line.value}" for line in answer.lines))


@command(app, "lists", usual=USUAL)
def lists(
    desk: Desk,
    procedure: Annotated[str, typer.Argument(metavar="[PROCEDURE]", help="Without one, the names of all.")] = "",
) -> None:
    """Print the lists of a procedure (职责、任务、保障), its stages and roles."""
    found = desk.call(wire.READ_PROCEDURE, procedure, changes=False)
    desk.show(found, case_chart.list_lines(found) if procedure else found.names)


_TRACE_ENDS: Final = {Outcome.REFUSED: 1, Outcome.UNREACHABLE: 3, Outcome.EXPIRED: 3}


_BELOW_TIME: Final = "\n" + " " * 18


def trace_lines(answer: wire.TraceAnswer) -> Iterator[str]:
    for line in answer.lines:
        yield f"{local_minute(line.time)}  {_BELOW_TIME.join(sentences(line.zh, line.en))}"
    if answer.outcome is Outcome.REFUSED:
        why = ", ".join(answer.policies)
        yield said(f"{answer.node}未答复：{why} | {answer.node} refused: {why}")
    elif answer.outcome is not Outcome.HIT:
        yield said(f"{answer.node}的节点现在联系不上，请稍后再查 | {answer.node} is not answering: ask again later")


def case_line(line: CaseLine) -> str:
    ended = f"  {titled('已办结|closed')}{line.outcome}" if line.outcome else ""
    clock = f"  {titled('期限|due')}{local_minute(line.due)} ({line.clock})" if line.due is not None else ""
    late = overdue_mark() if line.late else ""
    waits = f"  {titled('等待|waiting')}{line.waiting}" if line.waiting else ""
    title, stage = pair(line.title_zh, line.title_en), pair(line.stage_zh, line.stage_en)
    return f"{line.code}  {title}  {stage}  {word(line.standing)}{clock}{late}{waits}{ended}"


def view_lines(view: wire.CaseView) -> Iterator[str]:
    """A case on one screen: itself, who takes part, clocks, notices, what may be done."""
    line = view.line
    if line is None:
        return
    yield case_line(line)
    yield f"  {titled('记录|record')}{line.record}"
    opened = f"{titled('立案|opened')}{local_minute(line.opened)}  {titled('层级|tier')}{line.tier}"
    yield f"  {titled('牵头|lead')}{line.lead}  {opened}"
    for member in view.members:
        asked = f" {enclosed(said('受邀|invited'))}" if member.invited else ""
        yield f"  {titled('参与|member')}{member.agency}  {pair(member.roles_zh, member.roles_en)}{asked}"
    for clock in view.clocks:
        end = local_minute(clock.due) if clock.due is not None else "-"
        late = overdue_mark() if clock.late else ""
        unsure = f" {enclosed(said(_UNSURE[clock.verified]))}" if clock.verified in _UNSURE else ""
        yield f"  {titled('期限|clock')}{pair(clock.zh, clock.en)} [{clock.key}]  {end}{late}  {clock.source}{unsure}"
    for notice in view.notices:
        yield said(f"  ! {notice.zh} | {notice.en}")
    ready = [offer for offer in view.offers if offer.possible]
    if ready:
        yield f"  {titled('现在可办|may be done now')}{', '.join(_named(offer) for offer in ready)}"


def offer_lines(offers: Iterable[wire.CaseOffer]) -> Iterator[str]:
    """The acts that may be done now, with their fields, and what is missing for the rest, with its rule."""
    found = list(offers)
    key = said("! 必填，[] 可用逗号写多项 | ! required, [] several with commas")
    yield f"{titled('现在可办|may be done now')}  {enclosed(key)}"
    for offer in found:
        if offer.possible:
            fields = "".join(f" --set {field.replace(':', '=', 1)}" for field in offer.fields)
            yield f"  {_named(offer)}  {pair(offer.zh, offer.en)} {fields}".rstrip()
    yield titled("尚不能办|not yet").rstrip()
    for offer in found:
        if not offer.possible and (offer.missing or offer.act not in EVERYWHERE):  # not what no stage has an object for
            zh, en = REASONS.get(offer.reason, ("", offer.reason))
            yield f"  {_named(offer)}  {pair(offer.zh, offer.en)}{punctuated(': ')}{said(f'{zh} | {en}')}"
            yield from (f"    {titled('缺|missing')}{lack_line(lack)}" for lack in offer.missing)


def lack_line(lack: wire.CaseMissing) -> str:
    """The condition that is missing, with its rule; where law is silent it is the provinces' own."""
    rule = said("四省自定|the provinces' own") if lack.rule == "[P]" else lack.rule
    return f"{said(f'{lack.zh} | {lack.en}')}{enclosed(rule) if rule else ''}"


def entry_lines(
    line: wire.EntryLine, reasons: Mapping[str, tuple[str, str]] = REASONS, *, full: bool = False
) -> Iterator[str]:
    """An entry as a clerk reads it; `reasons` are the words for why one is without effect."""
    why = pair(*reasons.get(line.without_effect, ("", line.without_effect)))
    void = f"  ** {titled('无效果|without effect')}{why} **" if line.without_effect else ""
    late = (
        f" {enclosed(f'{said(_ARRIVED)} {local_minute(line.arrived)}')}"
        if line.arrived - line.at > timedelta(minutes=1)
        else ""
    )
    yield f"{local_minute(line.at)}  {pair(line.act_zh, line.act_en)}  {line.agency}{late}{void}"
    yield f"  {line.author}:{line.n}  {line.name[:16]}  {line.officer or '-'}"
    if line.fields:
        yield f"  {fields_text(line.fields, full=full)}"
    for item in line.items:
        yield item_line(item, full=full)
    for lack in line.missing:
        yield f"  {titled('缺|missing')}{lack}"
    for sent in line.deliveries:
        why = f": {', '.join(sent.policies)}" if sent.policies else ""
        yield f"  -> {sent.node}  {word(sent.state)}{why}"


def _named(offer: wire.CaseOffer) -> str:
    return f"{offer.act} {offer.to}".rstrip()


def do_act(
    desk: Desk,
    code: str,
    name: str,
    fields: Iterable[str] = (),
    items: Iterable[str] = (),
    reason: str | None = None,
    *,
    filed: tuple[CaseItem, ...] = (),
    secret: str = "",
) -> None:
    """Does one act for the purpose and function of the procedure of its case; once it is done, `secret` is shown."""
    view = desk.call(wire.READ_CASE, code, changes=False)
    if view.line is None:
        desk.refuse(view.decision)
        return
    act, given = name.replace("-", "_"), dict(pairs(fields)) | ({"reason": reason} if reason else {})
    given |= _cited(desk, view.line.record, act, given=given)
    asked = CaseStep(case=view.line.record, name=act, fields=given, items=(*filed, *_items(items)))
    _show_outcome(desk, desk.call(wire.ACT_IN_CASE, asked, act=_act_of(desk, view.line.procedure)), secret=secret)


def _cited(desk: Desk, record: str, act: str, *, given: Mapping[str, str]) -> dict[str, str]:
    """The full names of what is cited as a person has it before them; what is of the full form stays as it is.

    An entry by its number (`zhejiang:31`) or the signs that `case history` shows, a paper by its file's name, or by the
    first signs of a digest that the case says. Refuses CASE_FIELD where not exactly one entry or paper is so called.
    """
    known = ACTS[act].known if act in ACTS else {}
    kinds = {name: known[name].type for name, text in given.items() if name in known and not _FULL.fullmatch(text)}
    short = {name: given[name] for name, kind in kinds.items() if kind in ("entry", "digest")}
    if not short:
        return {}
    lines = desk.read(wire.LIST_ENTRIES, EntryQuery(case=record), _EVERYTHING).lines
    entries = {name: line.name for line in lines for name in (line.name, f"{line.author}:{line.n}")}
    papers = {text: text for line in lines for text in _digests(line)}
    roots = [(item.fields.get("name"), item.fields.get("root")) for line in lines for item in line.items]
    found = {}
    for name, text in short.items():
        names = entries if kinds[name] == "entry" else papers
        begun = {full for typed, full in names.items() if typed == text or (len(text) >= 8 and typed.startswith(text))}
        meant = begun | {root for file, root in roots if root and file == text and kinds[name] == "digest"}
        if len(meant) != 1:
            form = "an entry, as case history shows it" if names is entries else PAPER_FORM
            raise MalformedError("CASE_FIELD", f"{act}: expected {name!r} to be {form}", field=name)
        found[name] = meant.pop()
    return found


def _digests(line: wire.EntryLine) -> Iterator[str]:
    """The digests that the head of an entry says."""
    known = ACTS[line.act].known if line.act in ACTS else {}
    return (text for name, text in line.fields.items() if name in known and known[name].type == "digest")


def _act_of(desk: Desk, procedure: str) -> Act:
    found = desk.call(wire.READ_PROCEDURE, procedure, changes=False)
    return desk.act(found.purpose, found.function)


def pairs(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise typer.BadParameter(f"写作 名称=值 | write NAME=VALUE: {text!r:.60}")
        yield name, value


def _items(texts: Iterable[str]) -> tuple[CaseItem, ...]:
    made = []
    for text in texts:
        kind, _, rest = text.partition(";")
        made.append(CaseItem(kind=kind, fields=dict(pairs(rest.split(";") if rest else ()))))
    return tuple(made)


def _show_outcome(desk: Desk, outcome: wire.CaseOutcome, *, secret: str = "") -> None:
    entry, line = outcome.entry, outcome.line
    lines = [*(() if line is None else (case_line(line),)), *(() if entry is None else entry_lines(entry))]
    is_printed = bool(secret) and entry is not None and not entry.without_effect
    if is_printed:
        lines.append(f"{titled('外出凭证，只显示这一次|token, shown this once')}{secret}")
    refused = entry is not None and any(sent.state is wire.DeliveryState.REFUSED for sent in entry.deliveries)
    desk.show(outcome, lines, data={"token": secret} if is_printed else None, code=int(refused))
