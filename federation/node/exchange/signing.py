"""The key that this node signs statements with: the newest of its own that the agreement in force names now.

Asked for each statement anew, so that a rotation takes effect when the agreement says, without a restart.
Trusts the home's keyring. Source: DESIGN section 4 (agreement).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from federation.node.exchange.trust import Trust
from federation.node.home.keyring import Keyring, message_signer_at
from federation.protocol.keys import Signer


class MessageKeys:
    """This node's own message keys, chosen by the agreement and the clock."""

    def __init__(self, keyring: Keyring, trust: Trust, *, now: Callable[[], datetime]) -> None:
        """Keeps what it chooses from.

        Raises:
            RuleError: MESSAGE_KEY_NOT_AGREED when there is nothing to choose: such a node need not start.
        """
        self._keyring = keyring
        self._trust = trust
        self._now = now
        self.current()

    def current(self) -> Signer:
        """The key for a statement that is made now.

        Raises:
            RuleError: MESSAGE_KEY_NOT_AGREED when the agreement gives this node none of its keys now.
        """
        return message_signer_at(self._keyring, self._trust.in_force.agreement, self._now())

    def replace(self, keyring: Keyring) -> None:
        """Takes over the keys that lie in the home now."""
        self._keyring = keyring
