"""The succession of agreements: what was signed under an earlier version still verifies under the next.

Rules kept: a message key that was ever agreed stays, with the time from which it signed, until five years after its
end; an end that was agreed is not moved. Checked by who drafts and by everybody who signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from federation.protocol.errors import RuleError
from federation.protocol.ids import NodeName, format_time
from federation.protocol.trust.members import Member, MessageKey

KEPT: Final = timedelta(days=5 * 365 + 2)
"""How long after its end a message key stays in the agreement, at the least."""


def verify_succession(
    members: Mapping[NodeName, Member], previous: Mapping[NodeName, Member], *, now: datetime
) -> None:
    """Refuses members that drop what must stay of those before (MESSAGE_KEY_DROPPED, LOG_DROPPED)."""
    for node in members.keys() & previous.keys():
        found = {entry.key: entry for entry in members[node].message_keys}
        _verify_logs(node, previous[node], members[node])
        for entry in previous[node].message_keys:
            if not is_past_keeping(entry, now=now):
                _verify_kept(node, entry, found.get(entry.key))


def _verify_logs(node: NodeName, before: Member, after: Member) -> None:
    retired = [log.vkey for log in after.retired_logs]
    kept = [log.vkey for log in before.retired_logs]
    if before.log_vkey != after.log_vkey:
        kept.append(before.log_vkey)
    if retired != kept:
        raise RuleError(
            "LOG_DROPPED", f"expected {node}'s logs to be retired in order, and to stay: {', '.join(kept) or 'none'}"
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
