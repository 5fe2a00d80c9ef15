"""What another province tells us: a case that names us, and the replies to our own questions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from federation.domain.intake import REFUSAL_BODY, Refusal
from federation.domain.lookups import (
    ANSWER_BODY,
    RELEASE_BODY,
    AnswerItem,
    ReleaseItem,
    decode_answer_item,
    decode_fetch_item,
    decode_release_item,
    decode_search_item,
)
from federation.domain.lookups_case import LookupCase, decode_case, verify_case_follows
from federation.domain.lookups_policy import case_request
from federation.domain.retention import PROVISION, RELEASE
from federation.node.exchange.judge import Judgement, Kind, Received, Rows
from federation.node.exchange.replies import POLICE, only_item, statement_of, take_reply
from federation.node.lookups import records
from federation.node.lookups.kinds import (
    ANSWER_KIND,
    CASE_BODY,
    CASE_KIND,
    FETCH_KIND,
    REFUSAL_KIND,
    RELEASE_KIND,
    SEARCH_KIND,
)
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import decode, encode
from federation.store.messages import find_body
from federation.store.records import Record


def _judge_case(received: Received[LookupCase]) -> Judgement:
    """Judges the opening or the closing of a case.

    Raises:
        MalformedError: CASE_OTHER. RuleError: as `verify_case_follows`.
    """
    statement, case, node = received.statement, received.item, received.node
    if case.opened_by != statement.sender.agency or case.case_id != statement.case:
        raise MalformedError("CASE_OTHER", "expected a case of the sending agency, named as the statement names it")
    owner = statement.sender.node
    verify_case_follows(records.find_case(node.database, owner, case.case_id, told=True), case)
    request = case_request(received.sender, node.name, occasion=received.occasion, purposes=case.purposes)
    return received.judge(request, rows=Rows(records=(records.case_record(case, owner=owner, told=True),)))


def _judge_answer(received: Received[AnswerItem]) -> Judgement:
    """Takes in hit or no hit, the reply to a search of ours.

    Raises:
        MalformedError: REPLY_UNASKED when it answers another look-up than the one it cites.
        RuleError: as `_take_reply`.
    """
    answer = received.item
    body = find_body(received.node.database, received.cited.id)  # None when it has been erased since
    if body is not None:
        asked = decode_search_item(only_item(body), received.statement.realm)
        _verify_same(answer.lookup_id, asked.lookup_id)
    owner = received.statement.sender.node
    held = (records.held_record(answer.handle, received.cited.digest, owner=owner),) if answer.handle else ()
    return _take_reply(received, ends=answer.expires, records=held)


def _judge_release(received: Received[ReleaseItem]) -> Judgement:
    """Takes in the fields that were released to us, the reply to a fetch of ours.

    A province that hands over more than was asked for is refused, and nothing of it is kept.

    Raises:
        MalformedError: REPLY_UNASKED when it answers another look-up or handle than the one it cites.
        RuleError: REPLY_BEYOND, and as `_take_reply`.
    """
    release = received.item
    body = find_body(received.node.database, received.cited.id)
    if body is not None:
        asked = decode_fetch_item(only_item(body))
        _verify_same((release.lookup_id, release.handle), (asked.lookup_id, asked.handle))
        if not release.fields.keys() <= asked.fields:
            raise RuleError("REPLY_BEYOND", "expected the fields that were asked for and no others")
    return _take_reply(received, ends=release.expires)


def _judge_refusal(received: Received[Refusal]) -> Judgement:
    """Takes in that a person at the other side's desk refused, the reply to a search or a fetch of ours."""
    return _take_reply(received)


def _take_reply(
    received: Received[Any], *, ends: datetime | None = None, records: tuple[Record, ...] = ()
) -> Judgement:
    """Takes in the reply to a look-up, in its time, from an office that answers for its province.

    One that comes after we gave the request up is refused and not kept: both sides say that the request expired.

    Raises:
        RuleError: REPLY_OFFICE, REPLY_TOO_LATE, REPLY_TWICE.
    """
    if received.statement.sender.agency.kind != POLICE:
        raise RuleError("REPLY_OFFICE", "expected a police office to answer for its province")
    tolerance = received.in_force.agreement.clock_tolerance
    if received.node.now() > statement_of(received.cited).expires + tolerance:
        raise RuleError("REPLY_TOO_LATE", "the request that this answers has expired; ask again")
    return take_reply(received, ends=ends, records=records)


def _verify_same(told: object, asked: object) -> None:
    if told != asked:
        raise MalformedError("REPLY_UNASKED", "expected a reply to the very look-up that it cites")


CASE = Kind(
    name=CASE_KIND,
    media_type=CASE_BODY,
    encode=encode,
    decode=lambda content, _: decode_case(content),
    many=False,
    judge=_judge_case,
    answers=(),
    keep=PROVISION,
    resend=None,
)
ANSWER = Kind(
    name=ANSWER_KIND,
    media_type=ANSWER_BODY,
    encode=encode,
    decode=lambda content, _: decode_answer_item(content),
    many=False,
    judge=_judge_answer,
    answers=(SEARCH_KIND,),
    keep=RELEASE,
    resend=None,
)
RELEASED = Kind(
    name=RELEASE_KIND,
    media_type=RELEASE_BODY,
    encode=encode,
    decode=lambda content, statement: decode_release_item(content, statement.realm),
    many=False,
    judge=_judge_release,
    answers=(FETCH_KIND,),
    keep=RELEASE,
    resend=None,
)
REFUSAL = Kind(
    name=REFUSAL_KIND,
    media_type=REFUSAL_BODY,
    encode=encode,
    decode=lambda content, _: decode(Refusal, content),
    many=False,
    judge=_judge_refusal,
    answers=(SEARCH_KIND, FETCH_KIND),
    keep=PROVISION,
    resend=None,
)
