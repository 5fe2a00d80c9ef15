"""The keys of an office's officers: registered, withdrawn and listed by its administrators, each by their own key."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from federation.domain.officers import OfficerKey
from federation.wire.rpc import WRITES, PageQuery, Rpc


class KeyQuestion(Struct, frozen=True, kw_only=True):
    """An offered key to register, with the proof of who has it; an administrator's when it `administers`."""

    officer: str
    key: str
    proof: str
    administers: bool = False
    replaces: bool = False


class KeyQuery(PageQuery, frozen=True, kw_only=True):
    """A list of the keys of the caller's office, by name."""


class KeyPage(Struct, frozen=True, kw_only=True):
    keys: tuple[OfficerKey, ...] = ()
    next_page_token: str = ""


REGISTER_KEY: Final = Rpc("KeyService/RegisterKey", KeyQuestion, OfficerKey, floor_seconds=WRITES, administers=True)
WITHDRAW_KEY: Final = Rpc("KeyService/WithdrawKey", str, OfficerKey, floor_seconds=WRITES, administers=True)
LIST_KEYS: Final = Rpc("KeyService/ListKeys", KeyQuery, KeyPage, floor_seconds=WRITES, administers=True)
