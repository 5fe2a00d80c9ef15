"""One province at work: what every step of an exchange may use, as one frozen value.

Built in one place only (`serve.build_node`). It holds no rules: receiving is `receive`, sending is `send`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from federation.node.exchange.signing import MessageKeys
from federation.node.exchange.trust import Trust
from federation.node.exchange.waiters import Waiters
from federation.node.home.config import NodeSettings
from federation.node.log.sequence import Sequencer
from federation.node.log.witness import KnownHeads
from federation.protocol.ids import NodeName
from federation.protocol.keys import Signer
from federation.store.database import Database

if TYPE_CHECKING:
    from federation.node.exchange.judge import Kind

CHINA = timezone(timedelta(hours=8), "CST")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A province's own name, keys, store, writer, trust, what it knows of the others, the clock.

    `kinds` are the kinds of message that it takes in, by name.
    """

    name: NodeName
    settings: NodeSettings
    keys: MessageKeys
    database: Database
    sequencer: Sequencer
    trust: Trust
    heads: KnownHeads
    waiters: Waiters
    wake_delivery: Callable[[NodeName], None]
    now: Callable[[], datetime]
    kinds: Mapping[str, Kind[Any]]

    @property
    def signer(self) -> Signer:
        """The key that signs a statement made now.

        Raises:
            RuleError: MESSAGE_KEY_NOT_AGREED when the agreement gives this node none of its keys now.
        """
        return self.keys.current()

    def today(self) -> date:
        """The day at the border, in China's one time zone: legal days are counted there."""
        return self.now().astimezone(CHINA).date()
