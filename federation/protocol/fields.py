"""Annotations of the fields of an item (`form`): which values a field may hold, and how errors tell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Meta


def matching(pattern: str, *, form: str = "", reason: str = "") -> Meta:
    """A text that matches as a whole; an error says `form` in its words and has that reason."""
    return Meta(pattern=rf"\A(?:{pattern})\Z", extra=_extra(form or f"text that matches {pattern}", reason))


def between(low: int, high: int, *, reason: str = "") -> Meta:
    """An integer within bounds, both included."""
    return Meta(ge=low, le=high, extra=_extra(f"an integer from {low} to {high}", reason))


def checked(check: Callable[[Any], object], *, form: str, reason: str = "", type_reason: str = "") -> Meta:
    """A value that a function takes: for any other it returns False or raises a `BridgeheadError`."""
    return Meta(extra={**_extra(form, reason, type_reason), "check": check})


def told(form: str, *, reason: str = "", type_reason: str = "") -> Meta:
    """A value of its type alone, with the words and reasons of its errors."""
    return Meta(extra=_extra(form, reason, type_reason))


def _extra(form: str, reason: str, type_reason: str = "") -> dict[str, Any]:
    named = {"form": form, "reason": reason, "type_reason": type_reason}
    return {name: text for name, text in named.items() if text}
