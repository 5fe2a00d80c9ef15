"""A case as an office sees it at its own node: its entries, clocks, what it waits for, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeVar

from federation.domain.acts import ACTS, Field
from federation.domain.case_items import join
from federation.domain.conditions import CONDITIONS
from federation.domain.joint import CUT, Head, NoEffect
from federation.domain.joint_offers import Offer, offered, task_acts
from federation.domain.joint_state import Case, Folded
from federation.domain.joint_trace import TraceLine
from federation.domain.procedure import Stage
from federation.node.exchange.errand import Errand
from federation.node.exchange.replies import find_delivery
from federation.node.joint.acting import text_of
from federation.node.joint.disclose import handed_notices
from federation.node.joint.records import CASE, Held, SentEntry, StoredEntry, each_sent
from federation.node.joint.sharing import Sharing
from federation.node.node import Node
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.store.collection import page_behind
from federation.wire.agency.cases import (
    CaseClock,
    CaseDelivery,
    CaseMember,
    CaseMissing,
    CaseNotice,
    CaseOffer,
    CaseStage,
    CaseTask,
    DeliveryState,
    EntryLine,
    EntryPage,
    EntryQuery,
)
from federation.wire.rpc import Ruling

F = TypeVar("F", bound=Folded)
MAX_NOTICES: Final = 100
BUILT_IN: Final = {"lead": ("牵头单位", "lead"), "owner": ("承办单位", "owner"), "party": ("当事人", "party")}
"""The roles that no procedure has to name, in both languages."""
MAX_TASKS: Final = 500
MAX_LACKS: Final = 12
KNOWN: Final = "rule-entry-known"
"""The rule by which a province refuses an entry that it has."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def entry_line(
    errand: Errand,
    sharing: Sharing[F],
    held: Held[F],
    *,
    kept: StoredEntry,
    sent: Iterable[SentEntry] | None = None,
) -> EntryLine:
    """One entry as the office may see it, with the way of its messages (`sent`, where known) if it is ours."""
    node, head, act = errand.node, kept.head, sharing.family.acts.get(kept.head.act)
    why = _effects(held.state).get(kept.name)
    parts = sharing.shown_parts(node, errand.in_force, held, kept=kept, reader=errand.caller)
    if sent is None:
        sent = each_sent(sharing.family, node.database, held.id, name=kept.name)
    return EntryLine(
        name=kept.name, author=kept.author, n=head.n, act=head.act, act_zh=act.zh if act else head.act,
        act_en=act.en if act else head.act, agency=head.agency, officer=head.officer, at=head.at, arrived=kept.arrived,
        fields={name: text_of(value) for name, value in sharing.shown_fields(head).items()},
        items=join(head.items, parts), without_effect="" if why is None else why.reason,
        missing=() if why is None else why.missing, deliveries=deliveries(node, sent),
    )  # fmt: skip


def entry_page(errand: Errand, sharing: Sharing[F], held: Held[F], *, query: EntryQuery, ruling: Ruling) -> EntryPage:
    """The entries of a record in their order, as the office may see them (PAGE_TOKEN)."""

    def listed(place: str) -> Iterator[tuple[str, EntryLine]]:
        start = int(place or 0)
        for number, entry in enumerate(held.record.entries_from(start), start=start + 1):
            yield str(number), entry_line(errand, sharing, held, kept=held.kept[entry.name])

    name, keys = f"{sharing.family.name}-entries/{held.id}/{errand.caller}", errand.node.database.keys
    page = page_behind(keys, name, listed, limit=query.page_size, token=query.page_token)
    return EntryPage(decision=ruling, lines=page.values, next_page_token=page.next_token)


def deliveries(node: Node, messages: Iterable[SentEntry]) -> tuple[CaseDelivery, ...]:
    """The way of an entry of ours to each province; of several messages to one, the newest counts."""
    newest = {sent.to: sent for sent in messages}
    return tuple(_delivery(node, sent) for _, sent in sorted(newest.items()))


def _delivery(node: Node, sent: SentEntry) -> CaseDelivery:
    response = find_delivery(node, sent.message_id)
    if response.refused == (KNOWN,):
        return CaseDelivery(node=sent.to, state=DeliveryState.RECEIVED)
    if response.refused:
        return CaseDelivery(node=sent.to, state=DeliveryState.REFUSED, policies=response.refused)
    if response.received:
        return CaseDelivery(node=sent.to, state=DeliveryState.RECEIVED)
    if response.rejected or response.expired:
        return CaseDelivery(
            node=sent.to, state=DeliveryState.UNDELIVERED, policies=(response.rejected,) * bool(response.rejected)
        )
    return CaseDelivery(node=sent.to, state=DeliveryState.WAITING)


def members(case: Case) -> tuple[CaseMember, ...]:
    """Returns the members, then those who are invited, each with its roles by id and in words."""
    made = []
    for offices, invited in ((case.members, False), (case.invited, True)):
        for agency in sorted(offices, key=str):
            roles = tuple(sorted(offices[agency]))
            zh, en = _titles(case, roles)
            made.append(CaseMember(agency=agency, roles=roles, invited=invited, roles_zh=zh, roles_en=en))
    return tuple(made)


def _titles(case: Case, roles: Iterable[str]) -> tuple[str, str]:
    """Roles in words, in their order: in Chinese, and in English."""
    known = {each.id: (each.zh, each.en) for each in case.procedure.role} | BUILT_IN
    named = [known[role] for role in roles]
    return "、".join(zh for zh, _ in named), ", ".join(en for _, en in named)


def clocks(case: Case) -> tuple[CaseClock, ...]:
    """The clocks that run, those without a due time last."""
    running = [clock for clock in case.clocks.values() if clock.runs] if case.outcome is None else []
    return tuple(
        CaseClock(
            key=clock.key, started=clock.started, due=clock.due, late=clock.late,
            floor=clock.rule.bound.value == "at_least", on_breach=clock.on_breach,
            source=f"{clock.rule.instrument} {clock.rule.article}".strip(), verified=clock.rule.verified.value,
            zh=f"{clock.rule.zh or clock.name} {clock.thing}".strip(),
            en=f"{clock.rule.en or clock.name} {clock.thing}".strip(),
        )
        for clock in sorted(running, key=lambda clock: (clock.due or _NEVER, clock.key))
    )  # fmt: skip


def missing(case: Case | None, names: Sequence[str]) -> tuple[CaseMissing, ...]:
    """Conditions by name, each lack once: its words, who or which act is missing, its rule.

    What is no condition (a field, a clock) stands for itself.
    """
    found: dict[str, CaseMissing] = {}
    for name in names:
        condition = CONDITIONS.get(name)
        lacks = () if condition is None or case is None else tuple(condition.fact.lacks(case))[:MAX_LACKS]
        zh, en = (name, name) if condition is None else (condition.zh, condition.en)
        named = (f"，尚缺：{'、'.join(each for each, _ in lacks)}", f"; still: {', '.join(each for _, each in lacks)}")
        rule = "" if condition is None else condition.rule
        made = CaseMissing(name=name, zh=zh + named[0] * bool(lacks), en=en + named[1] * bool(lacks), rule=rule)
        found.setdefault(zh, made)
    return tuple(found.values())


def first_notices(node: Node, held: Held[Case]) -> tuple[CaseNotice, ...]:
    """The first notices of a case, and that there are more: a member can make thousands."""
    found = tuple(islice(notices(node, held), MAX_NOTICES + 1))
    if len(found) <= MAX_NOTICES:
        return found
    more = CaseNotice(zh="还有其他提示未列出，请先处理以上各条", en="there are more of these: see to those above first")
    return (*found[:MAX_NOTICES], more)


def tasks(case: Case, agency: AgencyId, officer: str) -> tuple[CaseTask, ...]:
    """The first tasks of a case as its entries left them, and what an officer may do about each."""
    made = []
    for task in islice(case.tasks.values(), MAX_TASKS):
        act = ACTS["record_item" if task.state == "open" else task.state]
        clock = next((each for each in case.clocks.values() if each.thing == task.name), None)
        changed = max((done.head.at for done in task.done.values()), default=task.made.at)
        shown = CaseTask(
            name=task.name, owner=parse_agency_id(task.owner), by=task.made.agency, given=task.made.at, due=task.due,
            late=clock is not None and clock.late, state=task.state, state_zh=act.zh, state_en=act.en, changed=changed,
            asked="" if task.asked is None else task.asked.entry.name,
            offers=task_acts(case, task.name, agency, officer=officer),
        )  # fmt: skip
        made.append(shown)
    return tuple(made)


def notices(node: Node, held: Held[Case]) -> Iterator[CaseNotice]:
    """A sentence each: what the record waits for, what an author did against its rules, who refused what."""
    refused = list(CASE.refused.each(node.database, under=f"{held.id}/"))
    for each in refused:
        why = ", ".join(each.policies)
        yield CaseNotice(
            zh=f"本省未接收{each.author}的第{each.n}条记录（{each.act}）：{why}",
            en=f"this province refused entry {each.n} of {each.author} ({each.act}): {why}",
        )
    for pending in held.record.pending:
        entry = pending.entry
        others = f" {', '.join(name[:12] for name in pending.names)}" if pending.names else ""
        yield CaseNotice(
            zh=f"{entry.author}的第{entry.head.n}条记录等待此前的记录{others}",
            en=f"entry {entry.head.n} of {entry.author} waits for entries before it{others}",
        )
    for gap in held.record.gaps:
        author, _, n = gap.partition(":")
        yield CaseNotice(zh=f"等待{author}的第{n}条记录", en=f"waiting for entry {n} of {author}")
    for finding in held.record.findings:
        names = ", ".join(name[:12] for name in finding.names)
        yield CaseNotice(
            zh=f"{finding.author}的第{finding.n}条记录不合规则（{finding.kind.value}）：{names}",
            en=f"entry {finding.n} of {finding.author} is against the rules ({finding.kind.value}): {names}",
        )
    yield from handed_notices(node, held)
    own = (kept for kept in held.kept.values() if kept.author == node.name)
    for kept in sorted(own, key=lambda kept: kept.head.n):
        for sent in deliveries(node, each_sent(CASE, node.database, held.id, name=kept.name)):
            if sent.state is DeliveryState.REFUSED:
                why = ", ".join(sent.policies)
                yield CaseNotice(
                    zh=f"{sent.node}未接收本省的第{kept.head.n}条记录（{kept.head.act}）：{why}",
                    en=f"{sent.node} refused entry {kept.head.n} of this province ({kept.head.act}): {why}",
                )
    if held.state is not None and CONDITIONS["beyond_letter"].holds(held.state):  # 刑程 355
        yield CaseNotice(
            zh="已超出协作请求范围，相应责任由协作地承担。",
            en="what was done goes beyond the letter: the force that did it answers for that",
        )
    if held.state is None and held.kept:
        yield CaseNotice(
            zh="等待立案记录或者其所依据的程序版本", en="waiting for the opening, or for the rules that it pins"
        )


def stages(case: Case) -> tuple[CaseStage, ...]:
    """The stages of the procedure, each with when the case entered and left it last."""
    moves = sorted((found for act in ("open", "move") for found in case.done.get(act, ())), key=lambda found: found.at)
    closed = case.last("close")
    times = [(_stage_of(case, found.head), found.head.at) for found in moves]
    ends = [*(time for _, time in times[1:]), closed.head.at if closed is not None else None]
    spent = {stage: (entered, left) for (stage, entered), left in zip(times, ends, strict=True)}
    made = []
    for stage in case.procedure.stage:
        entered, left = spent.get(stage.id, (None, None))
        who_zh, who_en = _titles(case, stage.who)
        made.append(
            CaseStage(
                id=stage.id,
                zh=stage.zh,
                en=stage.en,
                who=stage.who,
                who_zh=who_zh,
                who_en=who_en,
                tier=stage.tier,
                next=stage.next,
                entered=entered,
                left=left,
            )
        )
    return tuple(made)


def _stage_of(case: Case, head: Head) -> str:
    """The stage that an opening or a move enters."""
    return str(head.fields.get("to", head.fields.get("stage", case.procedure.stage[0].id)))


def trace(held: Held[Case]) -> tuple[TraceLine, ...]:
    """The lines that a citizen may be told: where the case stood and stands, never an officer, never a name."""
    case = held.state
    if case is None:
        return ()
    entered = [found for act in ("open", "move") for found in case.done.get(act, ())]
    closed, end = case.last("close"), next((end for end in case.procedure.outcome if end.id == case.outcome), None)
    lines = []
    for head in (found.head for found in sorted(entered, key=lambda found: found.at)):
        stage = case.procedure.stages[_stage_of(case, head)]
        if stage.trace_zh and "{outcome}" not in stage.trace_zh:  # the end says it, once there is one
            lines.append(_trace_line(case, stage, head.at))
    if closed is not None and end is not None:
        lines.append(TraceLine(time=closed.head.at, zh=f"已办结：{end.zh}", en=f"Closed: {end.en}"))
    if not case.procedure.held_back or case.last("allow_telling") is not None:
        return tuple(lines)
    many = len(lines)
    zh, en = f"有{many}项办理情况依法暂缓告知", f"by law {many} lines are not told yet"
    return (TraceLine(time=case.done["open"][0].head.at, zh=zh, en=en),)


def _trace_line(case: Case, stage: Stage, time: datetime) -> TraceLine:
    """The line of a stage, or of its clock that runs before the one which the stage speaks of, with what it names.

    The day is that of the first clock in the procedure's own order that has begun; where several things have one each,
    the next that is due. A clock that has not begun has no day.
    """
    started = [clock for clock in case.clocks.values() if clock.deadline is not None and clock.resting is None]
    each = ((timed, [clock for clock in started if clock.name == timed.clock]) for timed in stage.deadline)
    timed, found = next((pair for pair in each if pair[1]), (None, []))
    days = [clock.deadline for clock in [clock for clock in found if clock.runs] or found]
    due = min((deadline.last_day for deadline in days if deadline and deadline.last_day), default=None)
    line = stage if timed is None or not timed.trace_zh else timed
    known = {"code": case.code, "lead": str(case.lead), "outcome": ""}
    day = due.isoformat() if due else ""
    return TraceLine(
        time=time,
        zh=line.trace_zh.format(**known, due=day or "（日期待定）"),
        en=line.trace_en.format(**known, due=day or "(a day to be set)"),
    )


def _effects(state: Folded | None) -> Mapping[str, NoEffect]:
    return {} if state is None else {entry.name: why for entry, why in state.without_effect}


def offers(case: Case, agency: AgencyId, officer: str, *, now: datetime) -> tuple[CaseOffer, ...]:
    """The acts that an office may do in a case now, and what is missing for the rest."""
    titles = {("move", stage.id): f"{stage.zh}|{stage.en}" for stage in case.procedure.stage}
    titles |= {("close", end.id): f"{end.zh}|{end.en}" for end in case.procedure.outcome}
    found = offered(case, agency, officer, now=now)
    return tuple(_offer(case, each, title=titles.get((each.act, each.to), "|")) for each in found)


def _offer(case: Case, each: Offer, *, title: str) -> CaseOffer:
    """An offer in words; `title` is that of the stage or the end, in both languages."""
    act, refused = ACTS[each.act], each.refused
    zh, _, en = title.partition("|")
    own = [_written_field(field) for field in act.fields if field.name not in ("to", "outcome", CUT)]
    fields = (*own, *(("on_behalf:word!",) if act.of_party else ()))
    return CaseOffer(
        act=each.act, zh=f"{act.zh}：{zh}" if zh else act.zh, en=f"{act.en} ({en})" if en else act.en,
        possible=each.open, reason="" if refused is None else refused.reason,
        missing=() if refused is None else missing(case, refused.missing), fields=fields, to=each.to,
    )  # fmt: skip


def _written_field(field: Field) -> str:
    kind = "|".join(sorted(field.words)) or ("day" if field.type == "past" else field.type)
    return f"{field.name}:{kind}{'[]' if field.is_list else ''}{'!' if field.required else ''}"
