"""The retention table: how long a kind of record is kept at least, when it must be destroyed, who must answer by when.

Floors and ceilings come out of `policies/retention.toml` alone; months are calendar months, a floor ends on the same
day of the month or on its last. Sources: 网络数据安全管理条例 article 12 (at least three years), PIPL articles 19 and
47.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from federation.domain.clock import add_months
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import Count, Row, load_toml, parse_toml

RETENTION_FILE: Final = "policies/retention.toml"

# the rules that code asks for by id; the table says what each is about
PROVISION: Final = "provision"
USE: Final = "use"
SHARED: Final = "shared"
RELEASE: Final = "lookup.release"
QUESTION: Final = "lookup.question"
REPORT: Final = "subject.report"
CORRECTION: Final = "subject.correction"
ORDER: Final = "erasure.order"
CIVIL: Final = "case.civil"
TRACE: Final = "case.trace"
TODAY: Final = "corrections.today"
EMERGENCY: Final = "emergency"
ALERT: Final = "alert"
EVIDENCE: Final = "alert.evidence"

_WHAT: Final = "retention.toml"


class DestroyOn(StrEnum):
    WORK_ENDED = "work_ended"
    PURPOSE_REACHED = "purpose_reached"
    EXPIRED_OR_CASE_CLOSED = "expired_or_case_closed"
    CASE_AND_ANSWER_ENDED = "case_and_answer_ended"


class RetentionRule(Row, frozen=True, kw_only=True):
    """A floor in months, a ceiling by event or in days, days to answer. `official`: it stands in the instrument."""

    id: str
    what: str
    keep_months: Count | None = None
    counts_from: str | None = None
    destroy_on: DestroyOn | None = None
    destroy_after_days: Count | None = None
    unless: str = ""
    within_days: Count | None = None
    instrument: str
    article: str
    official: bool


class RetentionRules(Struct, frozen=True, kw_only=True):
    version: str
    rules: Mapping[str, RetentionRule]


class _File(Row, frozen=True, kw_only=True):
    version: str
    rule: tuple[RetentionRule, ...] = ()


@lru_cache(maxsize=4)  # one text is read again by each draft, signature and version of an agreement
def parse_retention(text: str) -> RetentionRules:
    """Parses the table; refuses a rule that says nothing or stands twice (RETENTION_RULE), TOML_*."""
    file = load_toml(_File, parse_toml(text, what=_WHAT), what=_WHAT)
    rules = {rule.id: _verify_rule(rule) for rule in file.rule}
    if len(rules) != len(file.rule):
        raise MalformedError("RETENTION_RULE", f"{_WHAT}: expected each id once")
    return RetentionRules(version=file.version, rules=MappingProxyType(rules))


def find_rule(rules: RetentionRules, rule_id: str) -> RetentionRule:
    """Returns the rule of that id; NotFoundError RETENTION_RULE when the provinces agreed on none."""
    rule = rules.rules.get(rule_id)
    if rule is None:
        raise NotFoundError("RETENTION_RULE", f"the agreement has no retention rule {rule_id!r:.60}")
    return rule


def kept_until(rules: RetentionRules, rule_id: str, counted_from: datetime) -> datetime:
    """Returns until when a record must be kept; NotFoundError RETENTION_RULE for no rule or no floor."""
    return _move_months(counted_from, _floor_months(rules, rule_id))


def verify_floor_passed(rules: RetentionRules, rule_id: str, counted_from: datetime, *, now: datetime) -> None:
    """Refuses to purge what must be kept longer, naming until when (RETENTION_FLOOR)."""
    until = kept_until(rules, rule_id, counted_from)
    if now < until:
        rule = find_rule(rules, rule_id)
        raise RuleError(
            "RETENTION_FLOOR",
            f"must be kept until {until.date().isoformat()} ({rule.instrument} {rule.article}, rule {rule.id})",
        )


def has_floor(rules: RetentionRules, rule_id: str) -> bool:
    return find_rule(rules, rule_id).keep_months is not None


def floor_passed_before(rules: RetentionRules, rule_id: str, now: datetime) -> datetime:
    """Returns the moment before which everything under that rule may be purged now."""
    return _move_months(now, -_floor_months(rules, rule_id))


def answer_due(rules: RetentionRules, rule_id: str, asked: datetime) -> datetime:
    """Returns by when somebody must have answered; NotFoundError RETENTION_RULE for no rule or no days."""
    days = find_rule(rules, rule_id).within_days
    if days is None:
        raise NotFoundError("RETENTION_RULE", f"the retention rule {rule_id!r:.60} names no days to answer within")
    return asked + timedelta(days=days)


def destroyed_after(rules: RetentionRules, rule_id: str) -> timedelta | None:
    """Returns how long after its event a record is destroyed; None when the provinces agreed on no such days."""
    rule = rules.rules.get(rule_id)
    return timedelta(days=rule.destroy_after_days) if rule is not None and rule.destroy_after_days is not None else None


def _floor_months(rules: RetentionRules, rule_id: str) -> int:
    months = find_rule(rules, rule_id).keep_months
    if months is None:
        raise NotFoundError("RETENTION_RULE", f"the retention rule {rule_id!r:.60} names no floor")
    return months


def _move_months(time: datetime, months: int) -> datetime:
    return datetime.combine(add_months(time.date(), months), time.timetz())


def _verify_rule(rule: RetentionRule) -> RetentionRule:
    what = f"{_WHAT}, rule {rule.id:.60}"
    if (rule.keep_months is None and rule.destroy_after_days is None) != (rule.counts_from is None):
        raise MalformedError(
            "RETENTION_RULE", f"{what}: expected keep_months or destroy_after_days together with counts_from"
        )
    if (rule.keep_months, rule.destroy_on, rule.destroy_after_days, rule.within_days) == (None, None, None, None):
        raise MalformedError(
            "RETENTION_RULE", f"{what}: expected keep_months, destroy_on, destroy_after_days or within_days"
        )
    return rule
