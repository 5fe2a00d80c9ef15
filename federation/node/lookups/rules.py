"""The rules of a look-up beside policy: how often may be asked, and what a no says, ours or the other side's.

Counted as it is asked, so that no question reads a history: by officer and day, by case, and different persons in a
case. A person is known again by a blind index of what they were looked up by, never by the number itself. A no is told
like a yes: what policy or which rule, in both languages, with what to do about it.
Source: misuse controls M4 and M11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from federation.domain.intake import REFUSAL_BODY, Refusal, refusal_titles
from federation.domain.lookups import Selector
from federation.domain.lookups_case import LookupCounts, Quotas, verify_quota
from federation.node.exchange.errand import Errand
from federation.node.exchange.replies import Response
from federation.node.log.decisions import rule_name
from federation.node.node import Node
from federation.node.oversight.leaders import is_bulk, is_countersigned
from federation.protocol.errors import RuleError
from federation.protocol.form import decode
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, put_records
from federation.store.tables import blind_index
from federation.wire.rpc import Ruling, ruling_of

PERSON = "lookup-person"
QUOTAS = Quotas()


_WORDS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "QUOTA_OFFICER": (
            "民警当日查询次数已满",
            "The officer has asked as often as one may in a day",
            "次日再查,或由本案其他民警查询",
        ),
        "QUOTA_CASE": (
            "本案查询次数已满",
            "The case has asked as often as one may",
            "由本案负责人和另一名未参与查询的民警双人签名:bridgehead oversight countersign --bulk",
        ),
        "QUOTA_CASE_LIMIT": (
            "本案查询次数已达最高限额",
            "The case has asked as often as any case may",
            "结案后凭新的办案协作函另立新案",
        ),
        "QUOTA_PERSONS": (
            "本案查询人数已满",
            "The case has asked about as many persons as one may",
            "请本案负责人会签后再查:bridgehead oversight countersign",
        ),
        "OFFICER_KEY": (
            "签名不是该民警登记的密钥所作",
            "The signature is not by the key registered for this officer",
            "用本人登记的密钥签名;未登记的先登记:bridgehead lookup key register",
        ),
        "HANDLE_UNKNOWN": (
            "本单位没有从该省得到这个凭据",
            "This agency got no such handle of that province",
            "先查询:bridgehead lookup search",
        ),
        "HANDLE_ASKER": (
            "凭据发给了另一民警",
            "The handle was given to another officer",
            "以本人名义重新查询:bridgehead lookup search",
        ),
        "HANDLE_CASE": (
            "凭据属于另一案件",
            "The handle belongs to another case",
            "在本案下重新查询:bridgehead lookup search",
        ),
        "HANDLE_EXPIRED": (
            "凭据已失效",
            "The handle has ended",
            "重新查询:bridgehead lookup search",
        ),
    }
)
"""Of each rule: the title in Chinese and in English, and what to do in Chinese; the rule's own sentence is English."""


def count(transaction: GroupTransaction, errand: Errand, *, case_id: str, selector: Selector) -> RuleError | None:
    """Counts one more look-up, in the transaction that asks: no two at the same moment share the last place.

    A look-up in several provinces is one look-up. What is refused is not counted.

    Returns:
        The limit that it would pass: QUOTA_OFFICER, QUOTA_CASE_LIMIT, QUOTA_CASE or QUOTA_PERSONS; None when it may go.
    """
    agency, officer = errand.caller, errand.act.officer
    by_day = f"lookup-day/{agency}/{officer}/{errand.node.today()}"
    in_case, persons = f"lookup-case/{agency}/{case_id}", f"lookup-persons/{agency}/{case_id}"
    index = blind_index(transaction.keys, PERSON, f"{selector.kind}/{selector.value}").hex()
    person = Record(
        id=f"{agency}/{case_id}/{index}",
        kind=PERSON,
        owner=errand.node.name,
        version=1,
        replica=True,
        status="asked",
        division="",
        content=b"",
    )
    is_new = find_record(transaction, PERSON, person.id, replica=True) is None
    counts = LookupCounts(
        officer_today=transaction.find_counter(by_day) + 1,
        case_total=transaction.find_counter(in_case) + 1,
        case_persons=transaction.find_counter(persons) + is_new,
    )
    try:
        verify_quota(
            counts,
            QUOTAS,
            countersigned=is_countersigned(transaction, agency, case_id, officer=officer),
            bulk=is_bulk(transaction, agency, case_id, officer=officer),
        )
    except RuleError as error:
        return error
    transaction.set_counter(by_day, counts.officer_today)
    transaction.set_counter(in_case, counts.case_total)
    if is_new:
        transaction.set_counter(persons, counts.case_persons)
        put_records(transaction, [person])
    return None


def rule_refusal(errand: Errand, error: RuleError) -> Ruling:
    """The no of a rule, in words, with what to do about it."""
    title_zh, title_en, remedy_zh = _WORDS[error.reason]
    return ruling_of(
        _refused((rule_name(error.reason),), title_zh, title_en),
        agreement_version=errand.in_force.agreement.version,
        explanation_zh=remedy_zh,
        explanation_en=error.message,
    )


def refusal_of(node: Node, response: Response) -> Decision | None:
    """Returns the refusal of the other side: by policy or rule, by its desk in a reply, or by its node; else None."""
    if response.body is not None and response.body.type == REFUSAL_BODY:
        return _desk_refusal(decode(Refusal, response.body.items[0]))
    if response.refused:
        return _told_refusal(node, response.refused)
    if response.rejected:
        told = f"The other node could not judge this message: {response.rejected}"
        return _refused((rule_name(response.rejected),), "对方节点无法受理这条消息", told)
    return None


def _desk_refusal(refusal: Refusal) -> Decision:
    """A refusal by a person at the other side's desk: the reason, and that person's own words."""
    return _refused((f"desk-{refusal.reason.value.replace('_', '-')}",), *refusal_titles(refusal))


def _told_refusal(node: Node, policies: Sequence[str]) -> Decision:
    """The other side's refusal in our words: its leaf names the policies or the rule, and we hold their text."""
    book = node.trust.in_force.policies.policies
    policy_titles = {name: (book[name].title_zh, book[name].title_en) for name in policies if name in book}
    titles = [found for name in policies if (found := policy_titles.get(name) or _rule_titles(name)) is not None]
    zh, en = (title for title, _ in titles), (title for _, title in titles)
    return _refused(tuple(policies), ";".join(zh), "; ".join(en))


def _rule_titles(name: str) -> tuple[str, str] | None:
    """The titles of a rule of a look-up by its name in a leaf, such as `rule-handle-case`; None for any other name."""
    return next((words[:2] for reason, words in _WORDS.items() if rule_name(reason) == name), None)


def _refused(policies: tuple[str, ...], title_zh: str, title_en: str) -> Decision:
    return Decision(
        verdict=Verdict.REFUSED,
        policies=policies,
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )
