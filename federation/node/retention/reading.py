"""Reading again what came of a look-up: by the office that asked, and the fields by the officer who fetched alone.

What each province answered is told as long as it is known; released fields only while the release has not expired, its
case is open, and the reader is the officer who fetched it. That is policy (`lookup.read`); its no is a value, signed
into the log and kept, so that it can be decided again, and so is its yes. Source: misuse controls M9 and M12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from federation.domain.lookups import Outcome, decode_answer_item
from federation.domain.lookups_case import LookupCase, is_open
from federation.node.exchange.errand import Errand, put_refusal
from federation.node.exchange.replies import Response, find_response
from federation.node.lookups import records
from federation.node.lookups.answer import FETCH, SEARCH
from federation.node.lookups.ask import outcome_of
from federation.node.lookups.rules import refusal_of
from federation.node.retention.readings import load_reading
from federation.node.retention.release import Read, read_release
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import MessageId
from federation.store.messages import load_message
from federation.wire.agency.lookups import LookupResult, ReadStep, TracedReading


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look-up under the eyes of one reader: its case, None when it is no longer known."""

    errand: Errand
    case: LookupCase | None

    @property
    def case_open(self) -> bool:
        return self.case is not None and is_open(self.case, self.errand.node.now())


async def read_lookup(errand: Errand, lookup_id: str) -> LookupResult:
    """Tells what came of each step of a look-up; a release is read under policy and a watermark.

    Raises:
        NotFoundError: LOOKUP_UNKNOWN when this office asked nothing under that id.
    """
    node = errand.node
    lines = [asked for asked, _ in records.list_asked(node.database, errand.caller) if asked.lookup_id == lookup_id]
    if not lines:
        raise NotFoundError("LOOKUP_UNKNOWN", f"this office asked nothing under {lookup_id:.40}; see the history")
    case_id = lines[0].case_id
    look = _Look(errand=errand, case=records.find_case(node.database, node.name, case_id, told=False))
    refused: list[Read] = []
    steps: list[ReadStep] = []
    for asked in lines:
        step = _step(look, asked)
        if asked.step == FETCH.name and step.outcome is Outcome.HIT:
            fetch = load_message(node.database, "sent", MessageId(asked.message_id))
            read = await read_release(errand, fetch, lookup_id=lookup_id)
            step = replace(step, decision=read.ruling, fields=read.fields, watermark=read.watermark)
            refused += [read] if read.watermark is None else []
        steps.append(step)
    if refused:
        rulings, asked_of = [read.ruling for read in refused], [read.request for read in refused]
        await node.sequencer.commit(lambda tx: put_refusal(tx, errand, rulings, asked=asked_of))
    return LookupResult(lookup_id=lookup_id, case_id=case_id, steps=tuple(steps))


async def trace_reading(errand: Errand, code: str) -> TracedReading:
    """Finds the reading that the code of a watermark stands for.

    Raises:
        MalformedError, NotFoundError, CorruptError: as `load_reading`.
    """
    node = errand.node
    reading, mark = load_reading(node.database, code)
    return TracedReading(
        watermark=mark,
        lookup_id=reading.lookup_id,
        case_id=reading.case_id,
        node=reading.node,
        fields=reading.fields,
        fetch_digest=reading.request,
    )


def _step(look: _Look, asked: records.Asked) -> ReadStep:
    """What is known of a step without showing a field: the handle only to its officer, and only while it lives."""
    node = look.errand.node
    outcome = outcome_of(node, asked)
    step = ReadStep(node=asked.node, step=asked.step, asked=asked.time, outcome=outcome)
    response = find_response(node, asked.digest) if asked.digest else Response()
    told = refusal_of(node, response)
    if told is not None:
        return replace(step, policies=told.policies, title_zh=told.title_zh, title_en=told.title_en)
    reply = response.reply
    if reply is None or reply.ends is None:
        return step
    handle: str | None = None
    living = reply.erased is None and node.now() < reply.ends and look.case_open
    if asked.step == SEARCH.name and living and asked.officer == look.errand.act.officer:
        handle = decode_answer_item(response.body.items[0]).handle if response.body is not None else None
    return replace(step, handle=handle, expires=reply.ends, erased=reply.erased)
