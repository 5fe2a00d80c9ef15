"""`bridgehead lookup`: what a police officer asks other provinces, bound to a case (跨省核查).

Fields of a hit are fetched with the officer's own key and read under a watermark, recorded at the node. A refusal is
an answer: exit code 1; 3 when a province was not reached or did not answer in time. Each step is done once by its
request id: the same command with it gets the same look-up and is not counted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from federation.cli.completion import complete_lookup_case
from federation.cli.lookups_home import keys, planted
from federation.cli.next_step import find_refusal_steps, retry_step
from federation.cli.options import Desk, FullOption, Paging, commands_for, read_line
from federation.cli.show import align, card, china_today, decision_lines, local_time, say, table, to_json, way_lines
from federation.cli.tree import identifier
from federation.cli.words import AWAITED, RECORD_FIELDS, condensed, plain, punctuated, said, titled, word, word_of
from federation.domain.division import find_division_doubt
from federation.domain.lookups import (
    FetchItem,
    Outcome,
    Selector,
    SelectorKind,
    Urgency,
    kind_of,
    parse_handle,
    step_up_bytes,
    verify_fields,
)
from federation.domain.lookups_case import BREAK_GLASS_PREFIX, LOOKUP_FUNCTION, OF_CASE, LookupPurpose, is_break_glass
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Realm, format_base64, parse_message_id, parse_node_name
from federation.wire.agency import lookups as wire
from federation.wire.agency.node import GET_STATUS
from federation.wire.rpc import Nothing

if TYPE_CHECKING:
    from federation.domain.erasure import Watermark
    from federation.protocol.keys import Signer
    from federation.wire.client import AgencyClient

app = typer.Typer(name="lookup", no_args_is_help=True, help="Police look-ups across the border (跨省核查).")
cases = typer.Typer(name="case", no_args_is_help=True, help="The case (案件) that every look-up is bound to.")
USUAL: Final = (LookupPurpose.CRIMINAL_INVESTIGATION.value, LOOKUP_FUNCTION)
command = commands_for(*USUAL)
in_case = commands_for(OF_CASE, LOOKUP_FUNCTION)
app.add_typer(cases)
app.add_typer(keys)
app.add_typer(planted)

EVERYWHERE: Final = "all"
HANDLE_PREFIX: Final = "handle:"
"""Before a handle in a text, so that one that begins with a hyphen is no option when it is typed again."""
_LATE: Final = frozenset({Outcome.UNREACHABLE, Outcome.EXPIRED})

CaseArgument = Annotated[
    str,
    typer.Argument(
        metavar="CASE", help="The case's number, such as CS-2026-0041.", autocompletion=complete_lookup_case
    ),
    identifier,
]
CaseOption = Annotated[
    str,
    typer.Option("--case", help="The open case that this belongs to.", autocompletion=complete_lookup_case),
    identifier,
]
LookupArgument = Annotated[
    str, typer.Argument(metavar="LOOKUP", help="The look-up, as search or history shows it."), identifier
]


# ---- the case


DEFAULT_DAYS: Final = 30


@command(cases, "open", without="purpose")
def open_case(
    desk: Desk,
    case_id: CaseArgument,
    counties: Annotated[list[str], typer.Option("--county", help="Six digits; several. Own county is added.")],
    leader: Annotated[
        str, typer.Option("--leader", help="Who answers for it, when a glass is broken; else who opens it.")
    ] = "",
    letter: Annotated[str, typer.Option("--letter", help="Number of the cooperation letter (办案协作函).")] = "",
    days: Annotated[int | None, typer.Option("--days", min=1, max=90, help="Its term, 1 to 90; else 30.")] = None,
    purposes: Annotated[
        list[str] | None,
        typer.Option("--purpose", help="What the case may look up for; several. lookup.criminal_investigation."),
    ] = None,
) -> None:
    """Open (立案协作) a case as its leader, by your own key; the provinces of its counties are told.

    A case BREAK-GLASS-... (紧急查询) needs no letter and runs two hours; --leader is notified at once and reviews it.
    """
    glass = is_break_glass(case_id)
    if not glass and not letter.strip():
        raise typer.BadParameter(
            f"写明协作函文号：--letter；只有 {BREAK_GLASS_PREFIX}... 案件无须协作函"
            f" | give --letter NUMBER; only a case {BREAK_GLASS_PREFIX}... is opened without"
        )
    if glass and (letter or days is not None):
        raise typer.BadParameter(
            f"{BREAK_GLASS_PREFIX}... 没有协作函与天数：去掉 --letter 与 --days"
            f" | a case {BREAK_GLASS_PREFIX}... has neither a letter nor days: leave out --letter and --days"
        )
    for doubt in filter(None, map(find_division_doubt, counties)):
        desk = replace(desk, doubts=(*desk.doubts, f"{titled('请核对|please check')}{said(doubt)}"))
        say(desk.doubts[-1])
    wanted = list(purposes or [LookupPurpose.CRIMINAL_INVESTIGATION])
    question = wire.CaseQuestion(
        case_id=case_id,
        letter=letter,
        counties=frozenset(counties),
        purposes=frozenset(wanted),
        days=0 if glass else days or DEFAULT_DAYS,
        leader=leader or desk.named_officer(),
    )
    answer = desk.call(wire.OPEN_CASE, question, act=desk.act(wanted[0]))
    review = f"bridgehead oversight review {case_id} --finding justified|unjustified --officer {leader}"
    notes = (
        f"已通知 {leader}，须于下一工作日前审查 | {leader} is notified and reviews it by the next working day:",
        f"  {review}",
    )
    desk.show(answer, case_lines(answer, opened=True), notes=notes if glass else ())


@command(cases, "close")
def close_case(desk: Desk, case_id: CaseArgument) -> None:
    """Close (结案) a case for good; every handle of it ends."""
    answer = desk.call(wire.CLOSE_CASE, case_id)
    desk.show(answer, case_lines(answer, opened=False))


def case_lines(answer: wire.CaseAnswer, *, opened: bool) -> Iterator[str]:
    if answer.closes is not None:
        done = said("已立，有效至|opened, runs until") if opened else said("已关闭|closed on")
        yield f"{said('案件|case')} {answer.case_id} {done} {local_time(answer.closes)}"


# ---- asking


@in_case(app, "search")
def search(
    desk: Desk,
    person: Annotated[
        str, typer.Argument(metavar="NUMBER", help="A citizen number, a permit's URN, a plate, a USCC; - reads stdin.")
    ],
    case_id: CaseOption,
    provinces: Annotated[
        list[str] | None,
        typer.Option("--province", help="Such as zhejiang; several; all for every other one. Those of the case."),
    ] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Answer within 10 minutes, not an hour.")] = False,
    kind: Annotated[
        SelectorKind | None, typer.Option("--kind", help="Of 18 digits that may be a citizen number and a USCC.")
    ] = None,
) -> None:
    """Ask (查询) whether provinces know one person, permit, vehicle or enterprise: hit or no hit, nothing else."""
    text, act = exact_name(read_line(person)), desk.act()
    named = tuple(dict.fromkeys(parse_node_name(name) for name in provinces or ()))
    urgency = Urgency.URGENT if urgent else Urgency.ROUTINE
    said = kind or _kind_of(text)

    async def ask(client: AgencyClient) -> wire.SearchResult:
        nodes, found = named, said
        if EVERYWHERE in named or found is None:
            status = await client.call(GET_STATUS, None, Nothing())
            nodes = tuple(peer.node for peer in status.peers) if EVERYWHERE in named else named
            found = found or kind_of(text, Realm(status.realm), today=china_today())
        selector = Selector(kind=found, value=text)
        question = wire.LookupQuestion(case_id=case_id, selector=selector, provinces=nodes, urgency=urgency)
        return await client.call(wire.SEARCH, act, question)

    result = desk.ask(ask)
    steps = search_steps(result, request_id=desk.request_id)
    desk.show(result, province_lines(result), steps=steps, code=outcome_code(each.outcome for each in result.answers))


def _kind_of(text: str) -> SelectorKind | None:
    """Returns the kind by its form; None for digits of which the node's realm must say more (refuses as `kind_of`)."""
    try:
        return kind_of(text, today=china_today())
    except MalformedError as error:
        if error.reason == "LOOKUP_AMBIGUOUS":
            return None
        raise


@in_case(app, "fetch")
def fetch(
    desk: Desk,
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="As a search's hit showed it.")],
    case_id: CaseOption,
    province: Annotated[str, typer.Option("--province", help="Who gave the handle.")],
    fields: Annotated[list[str], typer.Option("--field", help="Such as holder_name; several, no more than needed.")],
    full: FullOption = False,
) -> None:
    """Fetch (调取) named fields of one hit, signed by the officer's own key."""
    question = sign_fetch(
        desk.own_key(),
        case_id=case_id,
        node=parse_node_name(province),
        handle=handle.removeprefix(HANDLE_PREFIX),
        fields=frozenset(map(find_field, fields)),
    )
    result = desk.call(wire.FETCH, question)
    desk.show(
        result,
        fetch_lines(result, full=full),
        data={"node": question.node},
        full=full,
        steps=fetch_steps(result, request_id=desk.request_id),
        code=fetch_code(result.outcome),
    )


def sign_fetch(
    signer: Signer, *, case_id: str, node: NodeName, handle: str, fields: frozenset[str]
) -> wire.FetchQuestion:
    """The question for the named fields of one hit, signed by the officer (HANDLE_FORM, LOOKUP_FIELD)."""
    key = format_base64(signer.public_key.key)
    item = FetchItem(
        lookup_id=parse_message_id("00000000-0000-7000-8000-000000000000"),  # not signed: the node knows it
        handle=parse_handle(handle),
        fields=verify_fields(fields),
        officer_key=key,
        officer_signature="",
    )
    return wire.FetchQuestion(
        case_id=case_id,
        node=node,
        handle=item.handle,
        fields=item.fields,
        officer_key=key,
        officer_signature=format_base64(signer.sign(step_up_bytes(item))),
    )


def outcome_code(outcomes: Iterable[Outcome]) -> int:
    """The exit code for what provinces answered: 1 when one refused, else 3 when one did not answer in time, else 0."""
    found = frozenset(outcomes)
    if Outcome.REFUSED in found:
        return 1
    return 3 if found & _LATE else 0


def fetch_code(outcome: Outcome) -> int:
    """The exit code for a fetch: 0 when fields came or wait for a person, 3 when no answer came in time, else 1."""
    if outcome in (Outcome.HIT, Outcome.WAITING):
        return 0
    return 3 if outcome in _LATE else 1


def province_lines(result: wire.SearchResult) -> Iterator[str]:
    """Returns what each province answered, one a line; where a later answer is read, how a no becomes a yes."""
    yield from align([_province_cells(answer) for answer in result.answers])
    if any(answer.outcome is Outcome.WAITING for answer in result.answers):
        yield read_later(result.lookup_id)
    for chinese, english in dict.fromkeys((each.explanation_zh, each.explanation_en) for each in result.answers):
        yield from way_lines(chinese, english)


def read_later(lookup_id: str) -> str:
    return f"{titled('稍后查看|read it later')}bridgehead lookup result {lookup_id}"


def search_steps(result: wire.SearchResult, *, request_id: str) -> tuple[str, ...]:
    rules = [rule for answer in result.answers for rule in answer.policies]
    steps = find_refusal_steps(rules) if rules else ()
    missed = any(answer.outcome is Outcome.UNREACHABLE for answer in result.answers)
    return (*steps, retry_step(request_id)) if missed else steps


def fetch_steps(result: wire.FetchResult, *, request_id: str) -> tuple[str, ...]:
    if result.outcome is Outcome.UNREACHABLE:
        return (retry_step(request_id),)
    allowed = result.decision is not None and result.decision.allowed
    return find_refusal_steps(result.policies) if allowed and result.policies else ()


def fetch_lines(result: wire.FetchResult, *, full: bool) -> Iterator[str]:
    if result.outcome is Outcome.HIT:
        yield from card(to_json(result.fields, full=full))
        if result.expires is not None:
            yield f"{said('可用至|may be read until')} {local_time(result.expires)}"
        if result.watermark is not None:
            yield watermark_line(result.watermark)
    elif result.outcome is Outcome.WAITING and result.expires is not None:
        yield f"{word(result.outcome)}  {said('期限|due')} {local_time(result.expires)}"
        yield read_later(result.lookup_id)
    elif result.policies:
        yield f"{word(result.outcome)}{punctuated(': ')}{', '.join(result.policies)}"
        yield said(f"  {result.title_zh} | {result.title_en}")
    else:
        yield word(result.outcome)


def watermark_line(mark: Watermark) -> str:
    return f"{said('水印|watermark')} {mark.code}  {mark.agency}  {mark.officer}  {local_time(mark.time)}"


def _province_cells(answer: wire.ProvinceAnswer) -> tuple[str, str, str]:
    more = ""
    if answer.handle is not None and answer.expires is not None:
        more = f"{HANDLE_PREFIX}{answer.handle}  {said('有效至|until')} {local_time(answer.expires)}"
    elif answer.outcome is Outcome.WAITING and answer.expires is not None:
        more = f"{said('期限|due')} {local_time(answer.expires)}"
    elif answer.outcome is Outcome.REFUSED:
        more = f"{', '.join(answer.policies)}  {said(f'{answer.title_zh} | {answer.title_en}')}"
    return word_of("NodeName", answer.node), word(answer.outcome), more


# ---- what was asked, and what came of it


@command(app, "history")
def history(
    desk: Desk,
    paging: Paging,
    case_id: Annotated[
        str | None, typer.Option("--case", help="Only of this case.", autocompletion=complete_lookup_case), identifier
    ] = None,
    asked_by: Annotated[str | None, typer.Option("--by", help="Only of this officer (民警).")] = None,
) -> None:
    """List (记录) what the agency's officers looked up, newest first: cases, refusals and what is awaited too."""
    page = desk.read(wire.LIST_LOOKUPS, wire.LookupQuery(case_id=case_id, officer=asked_by), paging)
    desk.show_page(page, history_lines(page.lines), noun="steps")


def history_lines(lines: Iterable[wire.LookupLine]) -> Iterator[str]:
    def outcome(line: wire.LookupLine) -> str:
        return word(line.outcome) if line.outcome is not None else said(AWAITED)

    return table(lines, "time", "case_id", "node", "step", ("outcome", outcome), "officer", "lookup_id")


@command(app, "result")
def result(desk: Desk, lookup_id: LookupArgument, full: FullOption = False) -> None:
    """Read (查看结果) again what each province answered to one look-up; fields are under a watermark (水印)."""
    found = desk.call(wire.READ_LOOKUP, lookup_id, changes=False)
    desk.show(found, result_lines(found, full=full), full=full, code=result_code(found))


def result_code(result: wire.LookupResult) -> int:
    """The exit code: 1 when a province refused or a release may not be read any more, else 0."""
    refused = (
        step.outcome is Outcome.REFUSED or (step.decision is not None and not step.decision.allowed)
        for step in result.steps
    )
    return 1 if any(refused) else 0


def result_lines(result: wire.LookupResult, *, full: bool) -> Iterator[str]:
    yield f"{said('查询|look-up')} {result.lookup_id}  {said('案件|case')} {result.case_id}"
    for step in result.steps:
        outcome = word(step.outcome) if step.outcome is not None else said(AWAITED)
        yield f"{local_time(step.asked)}  {word_of('NodeName', step.node)}  {word_of('Step', step.step)}  {outcome}"
        yield from (f"  {line}" for line in _more(step, full=full))


@command(app, "trace")
def trace(
    desk: Desk,
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="The watermark's code, such as 7Q2M-X9TR-04KD."), identifier
    ],
) -> None:
    """Trace (溯源) a watermark on a photo or a print to the reading that it stands for; for auditors."""
    traced = desk.call(wire.TRACE_READING, code, changes=False)
    lines = (
        watermark_line(traced.watermark),
        f"{said('查询|look-up')} {traced.lookup_id}  {said('案件|case')} {traced.case_id}",
        f"{said('提供省|released by')} {traced.node}",
        f"{titled('字段|fields')}{', '.join(sorted(traced.fields))}",
        f"{said('调取|fetch')} {traced.fetch_digest}",
    )
    desk.show(traced, lines)


def _more(step: wire.ReadStep, *, full: bool) -> Iterator[str]:
    if step.watermark is not None:
        yield watermark_line(step.watermark)
        yield from card(to_json(step.fields, full=full))
    elif step.decision is not None:
        yield from decision_lines(step.decision)
    elif step.policies:
        yield f"{', '.join(step.policies)}  {said(f'{step.title_zh} | {step.title_en}')}"
    if step.handle is not None:
        yield f"{HANDLE_PREFIX}{step.handle}"
    if step.erased is not None:
        yield f"{said('已销毁|destroyed')} {local_time(step.erased)}"
    elif step.expires is not None:
        yield f"{said('有效至|until')} {local_time(step.expires)}"


def exact_name(text: str) -> str:
    """Returns the name as records have it: a plate or a permit in its written form, the x of a number as a capital."""
    from federation.domain.plates import normalise_plate

    name = identifier(text)
    plate = normalise_plate(name)
    return name if name.startswith("urn:") else plate if plate != name else condensed(name)


def find_field(text: str) -> str:
    """The protocol's name of a record's field that was given by either name; what is none stays as it is."""
    named = plain(text)
    return next((name for name, chinese in RECORD_FIELDS.items() if named == chinese), named)
