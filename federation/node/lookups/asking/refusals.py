"""A no of our own side: by policy or by a rule of the look-up itself, a value like any other refusal.

Denials are logged like grants: one `refused` leaf a request, with what policy was asked kept beside it, and an entry
for the person whom it was about, so that their report shows who tried.
Source: misuse control M11; PIPL articles 45 and 55.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from federation.domain.lookups import Selector, SelectorKind
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.lookups_policy import basis_of
from federation.domain.reports import DEFERRED_PURPOSE, Given
from federation.node.disclosures import put_given
from federation.node.exchange.errand import Errand
from federation.node.log.decisions import refusal_rule, rule_name
from federation.protocol.errors import RuleError
from federation.protocol.ids import MessageId, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.store.exchange_log import GroupTransaction
from federation.wire.values import Ruling, ruling_of

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


def rule_titles(name: str) -> tuple[str, str] | None:
    """What a rule of a look-up says by its name in a leaf, such as `rule-handle-case`, in Chinese and in English.

    None for a name that is none of them, such as that of a policy.
    """
    return next((words[:2] for reason, words in _WORDS.items() if rule_name(reason) == name), None)


def rule_refusal(errand: Errand, error: RuleError) -> Ruling:
    """The no of a rule, in words, with what to do about it."""
    title_zh, title_en, remedy_zh = _WORDS[error.reason]
    decision = Decision(
        verdict=Verdict.REFUSED,
        policies=(refusal_rule(error),),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )
    return ruling_of(
        decision,
        agreement_version=errand.in_force.agreement.version,
        explanation_zh=remedy_zh,
        explanation_en=error.message,
    )


def put_given_refusal(
    transaction: GroupTransaction,
    errand: Errand,
    *,
    entry_id: MessageId,
    about: Selector | None,
    entry: Given,
) -> None:
    """Keeps for the person that an officer of ours was refused.

    One entry a request, however many provinces it named: no province was asked, and the person learns who tried. What
    is looked up by another province's permit names nobody here and leaves no entry.
    """
    if about is not None and about.kind is SelectorKind.CITIZEN_NUMBER:
        owner = errand.node.name
        put_given(transaction, entry, message_id=entry_id, subject=about.value, owner=owner)


def given_refusal(errand: Errand, *, step: str, case_id: str, case: LookupCase | None, fields: frozenset[str]) -> Given:
    """What the person is told of a refused step; it waits only while a case for that very purpose is open."""
    act, now = errand.act, truncate_to_millisecond(errand.node.now())
    waits = case is not None and act.purpose == DEFERRED_PURPOSE and act.purpose in case.purposes and is_open(case, now)
    return Given(
        time=now,
        asker=errand.caller,
        purpose=act.purpose,
        function=act.function,
        basis=basis_of(act.purpose),
        case_id=case_id,
        step=step,
        verdict=Verdict.REFUSED,
        fields=fields,
        deferred_until=case.closes if waits and case is not None else None,
    )
