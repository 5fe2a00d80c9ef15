"""The succession of agreements: what was signed under an earlier version still verifies under the next.

Rules kept: a message key that was ever agreed stays, with the time from which it signed, until five years after its
end; an end that was agreed is not moved; logs are retired in order. Whoever is expelled stays as a former member, with
all of these, as long; and is admitted again only with them. Who was never a member exchanges exercises alone, for
thirty days at the least, and all of it only once a report of its conformance is agreed on. Checked by who drafts and by
everybody who signs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, format_time, truncate_to_millisecond
from federation.protocol.trust.members import FormerMember, Member, Membership, MessageKey

KEPT: Final = timedelta(days=5 * 365 + 2)
"""How long after its end a message key, or a former member, stays in the agreement, at the least."""
_SIGNED_WITHIN: Final = timedelta(days=366)
"""How long a draft may wait for signatures: an end of membership that is dated further back could be dropped early."""
_AHEAD: Final = timedelta(days=1)
EXERCISE: Final = timedelta(days=30)
"""How long who was never a member exchanges exercises alone, from the draft that admits it."""
_DRAFTED_WITHIN: Final = timedelta(days=7)
"""How long a draft that admits a province may wait for signatures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChanges:
    """The members that are suspended by the next agreement, or no more, and the reports of those that become actual."""

    suspend: Collection[NodeName] = ()
    lift: Collection[NodeName] = ()
    actual: Mapping[NodeName, str] = field(default_factory=dict)

    def of(self, member: Member, known: Member | FormerMember | None, *, now: datetime) -> Member:
        """Returns a member with what it may exchange from the next agreement on, whatever it says of that itself."""
        node, now = member.node, truncate_to_millisecond(now)
        was = known if isinstance(known, Member) else None
        until, digest = known.exercise_until if known else now + EXERCISE, was.conformance if was else ""
        if node in self.actual:
            until, digest = None, self.actual[node]
        since = (was.suspended_since if was else None) or (now if node in self.suspend else None)
        return replace(
            member, exercise_until=until, conformance=digest, suspended_since=None if node in self.lift else since
        )


def retire_member(member: Member, *, last_agreement: int, now: datetime) -> FormerMember:
    """Makes of a member that is expelled what stays of it."""
    return FormerMember(
        node=member.node,
        name=member.name,
        message_keys=member.message_keys,
        log_vkey=member.log_vkey,
        retired_logs=member.retired_logs,
        last_agreement=last_agreement,
        ended=truncate_to_millisecond(now),
        exercise_until=member.exercise_until,
        tls_ca=member.tls_ca,
    )


def former_after(
    before: Membership, members: frozenset[NodeName], *, last_agreement: int, now: datetime
) -> dict[NodeName, FormerMember]:
    """Returns who is a former member once `members` are the members of the next agreement."""
    kept = {node: each for node, each in before.former.items() if node not in members and each.ended + KEPT > now}
    gone = {node: each for node, each in before.members.items() if node not in members}
    return kept | {node: retire_member(each, last_agreement=last_agreement, now=now) for node, each in gone.items()}


def verify_succession(after: Membership, before: Membership, *, last_agreement: int, now: datetime) -> None:
    """Refuses a membership that drops what must stay of the one before, whose version is `last_agreement`.

    MESSAGE_KEY_DROPPED, LOG_DROPPED, FORMER_MEMBER_DROPPED, EXERCISE_SHORT, CONFORMANCE_MISSING.
    """
    for node, member in after.members.items():
        _verify_exercise(member, before.members.get(node) or before.former.get(node), now=now)
    parties: list[Member | FormerMember] = [*before.former.values(), *before.members.values()]
    for known in parties:
        node = known.node
        if (coming := after.members.get(node)) is not None:
            _verify_same_history(node, known, coming, now=now)
        elif not isinstance(known, FormerMember):
            _verify_retired(node, known, after.former.get(node), last_agreement=last_agreement, now=now)
        elif known.ended + KEPT > now and after.former.get(node) != known:
            raise _dropped(node)
    for node in sorted(after.former.keys() - before.former.keys() - before.members.keys()):
        raise RuleError("FORMER_MEMBER_DROPPED", f"expected former members that were members, got {node}", node=node)


def _verify_retired(
    node: NodeName, before: Member, after: FormerMember | None, *, last_agreement: int, now: datetime
) -> None:
    if after is None or after != retire_member(before, last_agreement=last_agreement, now=after.ended):
        raise _dropped(node)
    if not now - _SIGNED_WITHIN <= after.ended <= now + _AHEAD:
        raise RuleError(
            "FORMER_MEMBER_DROPPED",
            f"expected the end of {node}'s membership to be the day of the draft, got {format_time(after.ended)}",
            node=node,
        )


def _verify_exercise(after: Member, before: Member | FormerMember | None, *, now: datetime) -> None:
    """Refuses that all is exchanged with who was never a member, before its time and without a report."""
    least = now + EXERCISE - _DRAFTED_WITHIN if before is None else before.exercise_until
    if least is None:
        return
    until = after.exercise_until
    if (until is None and now < least) or (until is not None and until < least) or (until is None and before is None):
        raise RuleError(
            "EXERCISE_SHORT",
            f"expected exercises alone with {after.node} until {format_time(least)} at the least",
            node=after.node,
        )
    if until is None and not after.conformance:
        raise RuleError("CONFORMANCE_MISSING", f"expected a report of the conformance of {after.node}", node=after.node)


def _dropped(node: NodeName) -> RuleError:
    return RuleError(
        "FORMER_MEMBER_DROPPED",
        f"expected {node} to stay as a former member with all its keys: what it signed would no longer verify",
        node=node,
    )


def _verify_same_history(node: NodeName, before: Member | FormerMember, after: Member, *, now: datetime) -> None:
    _verify_logs(node, before, after)
    found = {entry.key: entry for entry in after.message_keys}
    for entry in before.message_keys:
        if not is_past_keeping(entry, now=now):
            _verify_kept(node, entry, found.get(entry.key))


def _verify_logs(node: NodeName, before: Member | FormerMember, after: Member) -> None:
    retired = [log.vkey for log in after.retired_logs]
    kept = [log.vkey for log in before.retired_logs]
    if before.log_vkey != after.log_vkey:
        kept.append(before.log_vkey)
    is_as_stated = after.retired_logs[: len(before.retired_logs)] == before.retired_logs
    if retired != kept or not is_as_stated:
        raise RuleError(
            "LOG_DROPPED",
            f"expected {node}'s logs to be retired in order, and to stay as stated: {', '.join(kept) or 'none'}",
        )


def is_past_keeping(entry: MessageKey, *, now: datetime) -> bool:
    return entry.valid_until is not None and entry.valid_until + KEPT <= now


def _verify_kept(node: NodeName, before: MessageKey, after: MessageKey | None) -> None:
    name = f"{node}'s message key {before.key.key_id:.16}, which signs from {format_time(before.valid_from)}"
    if after is None:
        found = "none"
    elif after.valid_from != before.valid_from:
        found = f"one that begins {format_time(after.valid_from)}"
    elif before.valid_until not in (None, after.valid_until):
        found = "another end than was agreed"
    else:
        return
    raise RuleError(
        "MESSAGE_KEY_DROPPED",
        f"expected {name}, to stay as it was agreed, got {found}: what it signed would no longer verify",
        node=node,
    )
