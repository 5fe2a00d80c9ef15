"""The error tree of the whole house, named by what the caller can do about it.

A refusal by *policy* is no error: it is a decision, signed and logged (`protocol.policy.Decision`).
Never raise the root of the tree. `reason` is UPPER_SNAKE, at most 63 characters, stable: it goes over the wire.
`facts` never hold a secret or a field of a person's record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 64
"""So much of a word is compared."""
_MANY: Final = 8
"""So many words are named that only begin with the same part."""


class BridgeheadError(Exception):
    """The root of the tree: never raised itself, caught only where a floor translates errors."""

    def __init__(self, reason: str, message: str, **facts: str | int) -> None:
        """Keeps the stable reason, a sentence for a person (expected and got), and facts by name."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        """The sentence for a person, then the stable reason in brackets."""
        return f"{self.message} [{self.reason}]"


class MalformedError(BridgeheadError):
    """The bytes or a field are not of the form that was agreed: the sender must mend them."""


class UntrustedError(BridgeheadError):
    """A signature, key, certificate or sender is not what the agreement in force says."""


class StaleError(BridgeheadError):
    """It has expired, is from the future beyond the clock tolerance, or cites something replaced."""


class RuleError(BridgeheadError):
    """Well-formed, from a known caller, but the law or the procedure does not allow this step now."""


class ConflictError(BridgeheadError):
    """The same id, number or version was used before for other content."""


class NotFoundError(BridgeheadError):
    """There is no such record, or the caller may not know whether there is."""


class UnavailableError(BridgeheadError):
    """Something needed is down or full; the same request with the same id may succeed later."""


class CorruptError(BridgeheadError):
    """The store contradicts itself: the node stops signing and a human must look."""


def nearest(given: str, known: Iterable[str]) -> tuple[str, str]:
    """The words of a closed list that are most like one that is none of them: the end of a sentence, in both languages.

    Nothing where none is like it; what was given is not said.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - loaded where a word is unknown only

    words, typed = sorted(known), given[:_LONGEST].lower()
    part = typed.partition(".")[0] + "."
    near = get_close_matches(typed, words, n=3, cutoff=0.6) or [each for each in words if each.startswith(part)][:_MANY]
    return (f"；相近：{'、'.join(near)}", f"; near it: {', '.join(near)}") if near else ("", "")
