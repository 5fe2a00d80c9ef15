"""The steps of a province's desks in alerts: raise one, act in it, read it, list those that are open, follow them.

An act is one entry, written in the transaction that answers the call; the provinces that share the alert have it at
once, or as soon as their node answers. A claim at another node than the arbiter's waits a few seconds for its receipt;
while that node does not answer the desk holds by its own node's word (`local`), and healing says who leads. An alert
that none of an office's desks is told of is not there for it: the same logged no.
Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from time import monotonic
from typing import Final

from federation.domain.alert import STAGES, Alert, advance
from federation.domain.alert_acts import ALERT_ACTS, ALERT_REASONS
from federation.domain.alert_kinds import AlertKind, AlertTable, is_issued, load_kind, read_alerts, verify_lifting
from federation.domain.alert_line import AlertLine
from federation.domain.alert_policy import AlertStanding, read_request, standing_of
from federation.domain.alert_rules import AgreedAlerts, read_alert_rules
from federation.domain.alert_texts import kept_under, verify_texts
from federation.domain.alert_told import told_of
from federation.domain.cap import Status, Unit, allocate_identifier
from federation.domain.case_items import CaseItem, join, split
from federation.domain.duty_roster import is_volunteer
from federation.domain.joint import Entry, FieldValue, NoEffect
from federation.domain.joint_offers import REASONS
from federation.domain.joint_record import Record as JointRecord
from federation.domain.retention import destroyed_after
from federation.node.alerts.links import link_offers
from federation.node.alerts.lists import (
    ALERTS,
    CHANGES,
    NAMES,
    AlertChange,
    AlertName,
    alert_lines,
    each_open,
    record_of,
)
from federation.node.alerts.sharing import ALERTS_SHARED, is_arbiter_away, off_duty
from federation.node.exchange.errand import Errand, joining, on
from federation.node.exchange.send import exchange_withheld
from federation.node.feed import Followed
from federation.node.joint.acting import (
    Doing,
    EntryWritten,
    handed_on,
    read_fields,
    refusal,
    text_of,
    write_entry,
    write_more,
)
from federation.node.joint.entries import record_key
from federation.node.joint.records import ALERT, Held, StoredEntry, keep_rules, load_held
from federation.node.joint.shown import entry_line, entry_page
from federation.node.joint.writing import Said
from federation.node.node import Node, agency_facts
from federation.protocol.errors import MalformedError, RuleError, nearest
from federation.protocol.form import replace
from federation.protocol.ids import RecordId, format_message_id, format_time, parse_record_id, record_node
from federation.protocol.policy import PolicyRequest, decide
from federation.protocol.trust.agreement import EXERCISE_ONLY
from federation.store.collection import page_behind
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency import alerts as wire
from federation.wire.agency.alerts import (
    AlertFieldLine,
    AlertKindLine,
    AlertNews,
    AlertOffer,
    AlertOutcome,
    AlertPage,
    AlertQuery,
    AlertRaising,
    AlertStep,
    AlertView,
    AlertWatch,
)
from federation.wire.agency.cases import EntryPage, EntryQuery
from federation.wire.rpc import Ruling

WAIT_SECONDS: Final = 1.0
"""How long an act waits for the other provinces to have its entry; the history says who has it later."""
RECEIPT_SECONDS: Final = 3.0
"""How long a claim waits for the arbiter's receipt before the own node's word holds, if that one does not answer."""
HEARTBEAT_SECONDS: Final = 10.0
_NAMED: Final = frozenset({"raise", "update", "cancel"})
"""The acts that are CAP messages, under an identifier of their own."""
_LIFTS: Final = ("lifted", "other")
"""Why an alert is cancelled that was true: a colour that was issued is lifted with it."""


@on(wire.RAISE_ALERT)
async def raise_alert(errand: Errand, asked: AlertRaising) -> AlertOutcome:
    """Raises an alert of a kind of the agreement in force.

    Refuses ALERT_KIND_REFUSED, ALERT_KIND_UNKNOWN, LEVEL_*, DUTY_DESK, CASE_FIELD, TEXT_PERSONAL, as `act_in_alert`.
    """
    node, rules = errand.node, read_alert_rules(errand.in_force.agreement.files)
    given = {name: text for name, text in asked.fields.items() if name not in ("cap_id", "agreement")}
    kind = load_kind(rules.table, given.get("kind", ""))
    given = {**_defaults(rules, kind, given, now=node.now()), **given}
    fields: dict[str, FieldValue] = {
        **read_fields(ALERT_ACTS, "raise", given, today=errand.node.today()),
        "cap_id": "",
        "agreement": errand.in_force.agreement.version,
    }
    _verify_level(rules, kind, fields)
    if fields["status"] == Status.ACTUAL and not errand.in_force.exchanges(node.name):
        raise exchange_withheld(EXERCISE_ONLY, node.name)
    record = RecordId(f"{node.name}/{format_message_id(node.now(), os.urandom(10))}")
    held = Held(family=ALERT, record=JointRecord(record), node=node.name)
    return await _do(errand, held, Alert(rules=rules), asked=_named(asked), fields=fields)


@on(wire.ACT_IN_ALERT)
async def act_in_alert(errand: Errand, asked: AlertStep) -> AlertOutcome:
    """Does one act about an alert.

    Refuses ALERT_ACT where the alert as it stands does not allow it; CASE_FIELD, TEXT_PERSONAL, DUTY_VOLUNTEER;
    LEVEL_*, ISSUED_BY; CASE_MOVED (send it again); CAP_IDENTIFIERS; and as `split`, `place_for`.
    """
    held = _find(errand, asked.alert)
    alert = None if held is None else held.state
    if held is None or alert is None or alert.raised is None:
        return AlertOutcome(decision=await _refused_as_stranger(errand))
    if asked.name == "raise":
        raise RuleError("ALERT_ACT", "expected an act about the alert; it was raised", why="ALERT_RAISED_ALREADY")
    given = {name: text for name, text in asked.fields.items() if name not in ("cap_id", "local")}
    if asked.name == "update" and isinstance(alert.rules, AgreedAlerts):
        given = {**_as_before(alert), **given}
    if "about" not in given and (about := _about(alert, asked.name)):
        given["about"] = about
    fields = read_fields(ALERT_ACTS, asked.name, given, today=errand.node.today())
    if asked.name in _NAMED:
        fields["cap_id"] = ""
    if isinstance(alert.rules, AgreedAlerts) and (asked.name == "update" or fields.get("why") in _LIFTS):
        kind = alert.rules.table.kinds[alert.kind]
        _verify_level(alert.rules, kind, fields)
        verify_lifting(alert.rules.table, kind, before=alert.said, after=fields)
    is_unseen = "made" in fields or (alert.hold is None and is_arbiter_away(errand.node, alert))
    if asked.name == "claim" and is_unseen:
        fields["local"] = "yes"  # made out of reach of the others: it helps where another desk holds the alert by now
    return await _do(errand, held, alert, asked=asked, fields=fields)


def _named(asked: AlertRaising) -> AlertStep:
    return AlertStep(alert="", name="raise", fields=asked.fields, items=asked.items)


async def _do(
    errand: Errand,
    held: Held[Alert],
    alert: Alert,
    *,
    asked: AlertStep,
    fields: dict[str, FieldValue],
) -> AlertOutcome:
    """Writes an entry, waits a little for the others to have it, and shows the alert as it stands then."""
    node, realm, act, items = errand.node, errand.in_force.agreement.realm, asked.name, asked.items
    _verify_desk(errand, fields, areas=alert.areas)
    verify_texts(items, fields, act=act)
    places = split(items, realm=realm)
    said = Said(agency=errand.caller, officer=errand.act.officer, act=act, fields=fields, places=places)
    doing = Doing(
        sharing=ALERTS_SHARED, held=held, state=alert, said=said,
        about=str(fields["kind"]) if act == "raise" else held.id, again=_read_question(errand, alert),
        asked=dict(asked.fields),
        fill=partial(_named_anew, errand, alert) if "cap_id" in fields else None,
        verify=_verify_allowed,
        beside=partial(_keep_rules, errand) if act == "raise" else lambda _: None,
    )  # fmt: skip
    ruling, answer = await write_entry(errand, doing)
    if answer is None:
        return AlertOutcome(decision=ruling)
    await handed_on(node, ALERTS_SHARED, answer, seconds=WAIT_SECONDS)
    await _receipted(node, answer, alert, act)
    now = load_held(ALERT, node, parse_record_id(answer.record))
    if act == "claim" and _is_left_waiting(node, now, answer):
        claim = replace(said, fields={**fields, "local": "yes"})
        answer = await write_more(errand, replace(doing, held=now, state=now.state or alert, said=claim))
        await handed_on(node, ALERTS_SHARED, answer, seconds=0)
        now = load_held(ALERT, node, parse_record_id(answer.record))
    line = next((each for each in alert_lines(node, now.moment, step=1) if each.office == errand.caller), None)
    entry = entry_line(errand, ALERTS_SHARED, now, kept=now.kept[answer.name])
    return AlertOutcome(decision=ruling, line=line, entry=entry)


async def _receipted(node: Node, answer: EntryWritten, alert: Alert, act: str) -> None:
    """Waits a little for the arbiter's word on a claim or an acceptance at another node."""
    if act not in ("claim", "accept_hand_over") or alert.arbiter == node.name:
        return
    record = parse_record_id(answer.record)

    def look() -> bool | None:
        now = load_held(ALERT, node, record).state
        is_held = now is not None and now.hold is not None and act == "claim"
        return True if now is None or answer.name in now.receipts or is_held else None

    await node.waiters.until(look, record_key(record), seconds=RECEIPT_SECONDS)


def _is_left_waiting(node: Node, now: Held[Alert], answer: EntryWritten) -> bool:
    """True for a claim that waits for an arbiter which does not answer."""
    alert = now.state
    if alert is None or alert.hold is not None or not is_arbiter_away(node, alert):
        return False
    return any(claim.name == answer.name for claim in alert.asked)


def _keep_rules(errand: Errand, transaction: GroupTransaction) -> None:
    keep_rules(errand.node, errand.in_force.agreement, transaction)


def _defaults(rules: AgreedAlerts, kind: AlertKind, given: Mapping[str, str], *, now: datetime) -> dict[str, str]:
    """The fields of a raise that its kind fills in: until when, how urgent, real unless it says so, where."""
    ticked = given.get("ticked", "").split(",")
    found = {"status": Status.ACTUAL.value, "kind": kind.id, "priority": rules.table.priority_of(kind, ticked).id}
    if kind.expires:
        found["expires"] = format_time((now + timedelta(minutes=kind.expires)).replace(microsecond=0))
    if "division" not in given and "desk" in given:
        found["division"] = given["desk"][:6]
    return found


def _as_before(alert: Alert) -> dict[str, str]:
    """The content that stands, which an update says anew but for what it changes."""
    kept = {"expires", "priority", "level", "issued_by", "document", "area", "division", "ticked"}
    numbers = {"area_m2", "dead", "hurt"}
    return {name: text_of(value) for name, value in alert.said.items() if name in kept | numbers}


def _about(alert: Alert, act: str) -> str:
    """The entry that an act is about where only one is open."""
    if act == "update" and alert.content is not None:
        return alert.content.name
    is_offer = act in ("accept_hand_over", "reject_hand_over", "withdraw_hand_over")
    return alert.offer.name if is_offer and alert.offer is not None else ""


def _verify_level(rules: AgreedAlerts, kind: AlertKind, fields: Mapping[str, FieldValue]) -> None:
    """Refuses a colour that the kind has not, or that its issuer may not give (LEVEL_*, ISSUED_BY)."""
    if level := str(fields.get("level", "")):
        is_issued(
            rules.table,
            kind,
            level,
            issued_by=str(fields.get("issued_by", "")),
            document=str(fields.get("document", "")),
        )


def _verify_desk(errand: Errand, fields: Mapping[str, FieldValue], *, areas: Collection[str]) -> None:
    """Refuses a desk or area that no sheet in force has, and a volunteer (DUTY_DESK, DUTY_AREA, DUTY_VOLUNTEER)."""
    duty = read_alert_rules(errand.in_force.agreement.files).duty
    if duty.agency_of(desk := str(fields.get("desk", ""))) is None:
        zh, en = nearest(desk, duty.desks)
        said = f"值班表没有这一席位{zh} | the duty sheets have no such desk{en}"
        raise MalformedError("DUTY_DESK", said, field="desk")
    named = fields.get("area", ())
    if unknown := sorted({*(named if isinstance(named, tuple) else ())} - {*duty.areas, *areas}):
        zh, en = nearest(unknown[0], duty.areas)
        said = f"值班表没有区域 {unknown[0]}{zh} | the duty sheets have no area {unknown[0]}{en}"
        raise MalformedError("DUTY_AREA", said, field="area")
    if is_volunteer(duty, errand.act.officer):
        said = "志愿者不值守席位。 | A volunteer is not on duty at a desk."
        raise RuleError("DUTY_VOLUNTEER", said)


async def _named_anew(errand: Errand, alert: Alert, said: Said) -> Said:
    status = str(said.fields["status"]) if said.act == "raise" else alert.status
    name = await _reserved(errand, str(said.fields["desk"]), status=status)
    return replace(said, fields={**said.fields, "cap_id": name})


async def _reserved(errand: Errand, desk: str, *, status: str) -> str:
    """The identifier of the next message of a desk, which nobody else is given (CAP_IDENTIFIERS)."""
    node, rules = errand.node, read_alert_rules(errand.in_force.agreement.files)
    row = rules.duty.desks.get(desk) or next(each for each in rules.duty.desks.values() if each.leader == desk)
    body = rules.table.body.codes.get(row.agency.kind, "999")
    extension = "00" if status == Status.ACTUAL.value else "EX"
    unit = Unit(division=row.agency.county, body=body, desk=row.number, extension=extension)

    def reserve(transaction: GroupTransaction) -> tuple[str, datetime]:
        @cache
        def used(second: str) -> frozenset[str]:
            taken = NAMES.each(transaction, under=second)
            ours = (found for found in taken if found.author in ("", node.name))  # nobody else uses our names up
            return frozenset(found.cap_id for found in ours)

        name, moment = allocate_identifier(unit, node.now(), is_used=lambda name: name in used(name[:-1]))
        NAMES.put(transaction, AlertName(cap_id=name, record=""), owner=node.name)
        return name, moment

    name, moment = (await node.sequencer.commit(reserve)).value
    if (early := (moment - node.now()).total_seconds()) > 0:
        await asyncio.sleep(early)
    return name


def _verify_allowed(alert: Alert, entry: Entry) -> None:
    """Refuses an act that would be without effect, and a claim of what is known to be held (ALERT_ACT)."""
    found, said = advance(alert, entry), entry.head.fields
    if entry.head.act == "claim" and "local" not in said and alert.hold is not None:
        found = NoEffect(reason="HELD_BY_OTHER")
    if not isinstance(found, NoEffect):
        return
    raise refusal("ALERT_ACT", found, {**REASONS, **ALERT_REASONS})


# ---- reading -------------------------------------------------------------------------------------------------------


@on(wire.READ_ALERT)
async def read_alert(errand: Errand, name: str) -> AlertView:
    """Shows an alert as it stands: its texts, and what the office may do in it now."""
    held, ruling = await readable(errand, name)
    alert = None if held is None else held.state
    if held is None or alert is None:
        return AlertView(decision=ruling)
    line = ALERTS.find(errand.node.database, f"{errand.caller}/{held.id}")
    texts = tuple(
        item
        for entry in held.record.entries_from(0)
        if entry.name in _standing(alert)
        for item in items_shown(errand, held, held.kept[entry.name])
    )
    kept = destroyed_after(errand.in_force.retention, kept_under(alert))
    return AlertView(
        decision=ruling, line=line, texts=texts, later=tuple(alert.later), links=tuple(sorted(alert.links)),
        offers=tuple(_offers(errand, held, alert)), is_evidence=bool(alert.evidence),
        kept_days=None if kept is None else kept.days,
    )  # fmt: skip


def _standing(alert: Alert) -> frozenset[str]:
    """The entries whose texts an alert shows: the content that stands and all notes."""
    notes = {name for name, done in alert.named.items() if done.head.act in ("note", "stamp")}
    return frozenset(notes | ({alert.content.name} if alert.content is not None else set()))


def _offers(errand: Errand, held: Held[Alert], alert: Alert) -> Iterator[AlertOffer]:
    """The acts of people for each own desk, and the alerts that may be the same event where it may link them."""
    desks = alert.rules.desks_of(errand.caller) if isinstance(alert.rules, AgreedAlerts) else frozenset()
    mine = sorted(desks & told_of(alert).desks)
    for act in ALERT_ACTS.values():
        if act.by_node or act.name == "raise":
            continue
        refused = [_refusal(errand, alert, act.name, desk) for desk in mine]
        reason = "" if None in refused else next((each for each in refused if each), "DESK_NOT_FOR_KIND")
        yield AlertOffer(act=act.name, zh=act.zh, en=act.en, possible=not reason, reason=reason)
        if act.name == "link" and not reason:
            yield from link_offers(errand, held, lambda each, entry: items_shown(errand, each, each.kept[entry.name]))


_SAMPLE: Final = "0" * 64
"""The name of an entry that there is not."""


def _stage_for(alert: Alert, act: str) -> str:
    """The first stage that is late where it is to be excused, else the first one without a stamp."""
    if act == "excuse":
        late = (
            each for each in alert.rules.stages(alert.kind) if each in alert.overdue or alert.attained(each) is False
        )
        return min(late, key=alert.due, default="arrived")
    return next((stage.value for stage in STAGES[1:] if stage not in alert.stamps), "arrived")


def _refusal(errand: Errand, alert: Alert, act: str, desk: str) -> str | None:
    """The reason why a desk cannot do an act now; None when it can, as far as that is not for its fields to say."""
    desks = alert.rules.duty.desks if isinstance(alert.rules, AgreedAlerts) else ()
    others = (each for each in desks if each != desk and alert.rules.may_hold(each, alert.kind))
    samples: dict[str, FieldValue] = {
        **{name: value for name, value in alert.said.items() if name not in ("desk", "kind", "agreement")},
        "desk": desk, "reason": "…", "document": "…", "by_phone": "yes", "result": "handled",
        "why": "danger" if act == "excuse" else "other",
        "to": next(others, desk), "about": _about(alert, act) or _SAMPLE, "status": alert.status,
        "other": next(iter(alert.links), f"{alert.arbiter}/00000000-0000-7000-8000-000000000000"),
        "stage": _stage_for(alert, act),
    }  # fmt: skip
    known = {field.name for field in ALERT_ACTS[act].fields}
    head = replace(
        alert.first, act=act, at=errand.node.now(), agency=errand.caller, officer=errand.act.officer, items=(),
        fields={name: value for name, value in samples.items() if name in known},
    )  # fmt: skip
    found = advance(alert, Entry(name=_SAMPLE, author=errand.node.name, head=head))
    return found.reason if isinstance(found, NoEffect) else None


@on(wire.LIST_ALERTS)
async def list_alerts(errand: Errand, query: AlertQuery) -> AlertPage:
    """Lists the alerts that the office's desks are told of, in the order in which they were raised."""
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        return AlertPage(decision=ruling)
    source = errand.node.database

    def listed(place: str) -> Iterator[tuple[str, AlertLine]]:
        if query.open_only:
            found = ALERTS.each_in(source, f"{errand.caller}/{query.status.value}/open", after=place)
        else:
            found = ALERTS.each(source, under=f"{errand.caller}/", after=place)
        for line in found:
            if line.status is query.status and (not query.desk or query.desk in line.desks):
                yield ALERTS.id(line), line

    name = f"alerts/{errand.caller}/{query.status.value}/{query.open_only}/{query.desk}"
    page = page_behind(source.keys, name, listed, limit=query.page_size, token=query.page_token)
    return AlertPage(decision=ruling, lines=page.values, next_page_token=page.next_token)


@on(wire.LIST_ALERT_ENTRIES)
async def list_entries(errand: Errand, query: EntryQuery) -> EntryPage:
    """Lists the entries of an alert in their order (PAGE_TOKEN)."""
    held, ruling = await readable(errand, query.case)
    if held is None:
        return EntryPage(decision=ruling)
    return entry_page(errand, ALERTS_SHARED, held, query=query, ruling=ruling)


@joining(wire.WATCH_ALERTS)
async def watch_alerts(errand: Errand, asked: AlertWatch) -> AsyncIterator[Sequence[AlertNews]]:
    """Yields the open alerts of a topic, or what came behind `after`, then each act as it comes, until the node stops.

    The acts of a moment are told together, in their order, each as it stands then, when policy lets the office read it
    then. Refuses WATCH_TOPIC, WATCH_TOKEN.
    """
    source = errand.node.database
    status, wanted = _topic(asked.topic)
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        yield (AlertNews(decision=ruling),)
        return
    start = CHANGES.place(source, status.value, asked.after) if asked.after else CHANGES.count(source, status.value)
    if not asked.after:
        for line in each_open(source, errand.caller, status=status):
            if wanted(line.record, line.desks, line.areas) and _may_read(errand, line):
                yield (AlertNews(line=line),)
    token = CHANGES.token(source, status.value, start)
    yield (AlertNews(token=token),)  # the rows are whole, and the stream is alive
    said = monotonic()
    async for found in CHANGES.follow_beating(errand, status.value, after=start, seconds=HEARTBEAT_SECONDS):
        if found:
            token = found[-1].token
        some = [news for each in found if (news := _news(errand, each)) is not None and _is_wanted(news, wanted)]
        if not some and found and monotonic() - said < HEARTBEAT_SECONDS:
            continue
        yield some or (AlertNews(token=token),)
        said = monotonic()


def _is_wanted(news: AlertNews, wanted: _Wanted) -> bool:
    now = news.line
    return now is not None and wanted(now.record, now.desks, now.areas)


def _news(errand: Errand, each: Followed[AlertChange]) -> AlertNews | None:
    """The alert as it stands for an office: one answer for all its streams; None where it is not for it to read."""
    change, in_force = each.entry, errand.node.trust.in_force
    if errand.caller not in change.offices:
        return None
    asked = (errand.caller, errand.act.purpose, errand.act.function, id(in_force))
    if asked not in each.made:
        now = ALERTS.find(errand.node.database, f"{errand.caller}/{change.record}")
        is_read = now is not None and _may_read(errand, now)
        each.made[asked] = in_force, AlertNews(token=each.token, line=now, act=change.act) if is_read else None
    found: AlertNews | None = each.made[asked][1]
    return found


def _may_read(errand: Errand, line: AlertLine) -> bool:
    """True when policy, as it stands now, lets the office read an alert of its list."""
    in_force = errand.node.trust.in_force
    duty = read_alert_rules(in_force.agreement.files).duty
    on_sheet = any(duty.agency_of(desk) == errand.caller for desk in line.desks)
    standing = AlertStanding.NOTIFIED if on_sheet else AlertStanding.FORMER
    facts, home = agency_facts(in_force, errand.caller), record_node(line.record)
    occasion = in_force.occasion(errand.act.purpose, errand.act.function)
    return decide(in_force.policies, read_request(facts, standing, home=home, occasion=occasion)).allowed


_WATCHED: Final = ("desk", "area", "record")
_Wanted = Callable[[str, Collection[str], Collection[str]], bool]


def _topic(text: str) -> tuple[Status, _Wanted]:
    """The status that a topic is about, and which alerts it is about, by record, desks and areas (WATCH_TOPIC)."""
    is_exercise = text.startswith(_EXERCISE)
    what, _, name = text.removeprefix(_EXERCISE).partition(":")
    if what not in _WATCHED or not name:
        said = "expected desk:ID, desk:*, area:ID or record:ID, for exercises behind exercise:"
        raise MalformedError("WATCH_TOPIC", said, field="topic")

    def wanted(record: str, desks: Collection[str], areas: Collection[str]) -> bool:
        return name == "*" or name in {"desk": desks, "area": areas, "record": (record,)}[what]

    return (Status.EXERCISE if is_exercise else Status.ACTUAL), wanted


_EXERCISE: Final = "exercise:"


async def _list_ruling(errand: Errand) -> Ruling:
    question = read_request(errand.agency, AlertStanding.NOTIFIED, home=errand.node.name, occasion=errand.occasion)
    return await errand.ask(question)


def _read_question(errand: Errand, alert: Alert) -> PolicyRequest:
    """The question to policy before the office reads an alert; one that it raises is its own."""
    if alert.raised is None:
        standing = AlertStanding.RAISER
    else:
        standing = standing_of(
            alert, errand.caller, _own_desks(errand, alert), notified=told_of(alert).desks,
            off=off_duty(errand.in_force, alert),
        )  # fmt: skip
    home = errand.node.name if alert.raised is None else alert.arbiter
    return read_request(errand.agency, standing, home=home, occasion=errand.occasion)


def _own_desks(errand: Errand, alert: Alert) -> frozenset[str]:
    return alert.rules.desks_of(errand.caller) if isinstance(alert.rules, AgreedAlerts) else frozenset()


async def readable(errand: Errand, name: str) -> tuple[Held[Alert] | None, Ruling]:
    """The alert of that name when the office may read it; without one, the logged no of a stranger."""
    held = _find(errand, name)
    alert = None if held is None else held.state
    if held is None or alert is None or alert.raised is None:
        return None, await _refused_as_stranger(errand)
    ruling = await errand.ask(_read_question(errand, alert))
    return (held if ruling.allowed else None), ruling


async def _refused_as_stranger(errand: Errand) -> Ruling:
    """An alert that is not there, and one that none of the office's desks is told of, get the same logged no."""
    home = errand.node.name
    return await errand.ask(read_request(errand.agency, AlertStanding.STRANGER, home=home, occasion=errand.occasion))


def _find(errand: Errand, name: str) -> Held[Alert] | None:
    """The alert by its record or the identifier of one of its messages, as far as the office has a line of it."""
    source = errand.node.database
    record = parse_record_id(name) if "/" in name else record_of(source, name)
    if record is None or ALERTS.find(source, f"{errand.caller}/{record}") is None:
        return None
    return load_held(ALERT, errand.node, record)


def items_shown(errand: Errand, held: Held[Alert], kept: StoredEntry) -> tuple[CaseItem, ...]:
    """The items of an entry as far as the office may see them: its own entries' whole."""
    parts = ALERTS_SHARED.shown_parts(errand.node, errand.in_force, held, kept=kept, reader=errand.caller)
    return join(kept.head.items, parts)


@on(wire.READ_KINDS)
async def read_kinds(errand: Errand, name: str) -> tuple[AlertKindLine, ...]:
    """Reads one kind by its id or its Chinese name, or all; refuses ALERT_KIND_REFUSED, ALERT_KIND_UNKNOWN."""
    table = read_alerts(errand.in_force.agreement.files)
    named = next((kind for kind in table.kind if name == kind.zh), None)
    found = table.kind if not name else (named or load_kind(table, name),)
    return tuple(_kind_line(table, kind) for kind in found)


def _kind_line(table: AlertTable, kind: AlertKind) -> AlertKindLine:
    facts = (table.facts[name] for name in kind.crosses)
    return AlertKindLine(
        id=kind.id, zh=kind.zh, en=kind.en, purpose=kind.purpose, function=kind.function, colours=kind.colours,
        priority=kind.priority, expires=kind.expires, measured=kind.measured,
        crosses=tuple(AlertFieldLine(id=fact.id, zh=fact.zh, en=fact.en) for fact in facts), never=kind.never,
    )  # fmt: skip
