"""Joint records: the entries that several provinces write, each held by all of them.

Rules kept: a head holds no personal data and nothing that grows without a limit; what an entry is called is the
commitment to its body, the same for every member, whatever each of them may see of it; only the node where a record was
opened writes its first entry, and only that one stands on no other.
Trusts nothing of a head: `read_entry` says whose it is. Source: DESIGN section 5, signatures and bodies of `protocol`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, TypeAlias

from msgspec import Struct

from federation.domain.citizen_number import names_by_number
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import MAX_INTEGER, Digest, Item, Time, decode
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    OfficerId,
    RecordId,
    between,
    checked,
    matching,
    parse_agency_id,
    record_node,
)

MAX_ENTRIES: Final = 20_000
"""The most entries of a record, and so the greatest height of one."""
MAX_OF_AUTHOR: Final = 5_000
"""The most entries of one node in a record."""
MAX_PARENTS: Final = 16
MAX_FIELDS: Final = 32
MAX_ITEMS: Final = 64
"""The most further items of an entry, and the most texts of one list in its head."""
MAX_HEAD_BYTES: Final = 8 * 1024
CUT: Final = "cut"
"""The field of a head that names for each node its last entry that counts as before: a list of `node:n`."""

_Word = Annotated[str, matching("[a-z][a-z0-9_]{0,31}", form="a word of lower-case letters")]
FieldValue: TypeAlias = str | int | tuple[str, ...]  # bare types: msgspec 0.22 frees a pattern beside a list twice
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,300}")
_DIGEST: Final = re.compile("[0-9a-f]{64}", re.ASCII)
_MESSAGE: Final = re.compile(
    "[0-9]{12}[0-9A-Z]{2}_[12][0-9]{3}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]_[0-9]",
    re.ASCII,
)
"""The name of a message (GB/T 35965.1): a moment between digits that are too few to name a person."""
_CUT: Final = re.compile("([a-z][a-z0-9]{1,30}):(0|[1-9][0-9]{0,4})", re.ASCII)


def _are_fields(fields: Mapping[str, FieldValue]) -> bool:
    numbers = [found for found in fields.values() if isinstance(found, int)]
    lists = [found for found in fields.values() if isinstance(found, tuple)]
    return (
        len(fields) <= MAX_FIELDS
        and all(0 <= number <= MAX_INTEGER for number in numbers)
        and all(len(texts) <= MAX_ITEMS for texts in lists)
        and all(map(_TEXT.fullmatch, _texts(fields)))
    )


_Parents = Annotated[
    frozenset[Digest], checked(lambda found: len(found) <= MAX_PARENTS, form="up to 16 digests in order")
]
_Fields = Annotated[
    dict[_Word, FieldValue],
    checked(_are_fields, form="up to 32 names with texts of 1 to 300 characters, numbers, or lists of 64 texts"),
]
_Items = Annotated[tuple[_Word, ...], checked(lambda found: len(found) <= MAX_ITEMS, form="up to 64 classes of items")]


class Head(Item, frozen=True, kw_only=True):
    """Item 0 of the body of an entry, which every member is given: who did what, standing on which entries.

    `n` counts the entries of the author's node in this record, from 1 without gaps. `parents` are the names of the
    newest entries that the node held, its own newest one among them. `at` is where it happened, not when it arrived.
    `officer` is None where a node writes by itself. `items` are the classes of the further items, in order.
    """

    WHAT: ClassVar[str] = "entry head"

    record: RecordId
    n: Annotated[int, between(1, MAX_OF_AUTHOR)]
    parents: _Parents
    height: Annotated[int, between(0, MAX_ENTRIES)]
    at: Time
    agency: AgencyId
    officer: OfficerId | None = None
    act: _Word
    fields: _Fields
    items: _Items


class Entry(Struct, frozen=True, kw_only=True):
    """An entry by its name, the commitment (hex) to its body, and the node that signed it."""

    name: str
    author: NodeName
    head: Head

    def __hash__(self) -> int:
        return hash(self.name)


class NoEffect(Struct, frozen=True, kw_only=True):
    """An entry that stays visible and changes nothing, since the state before it does not allow it.

    `missing` names the conditions, fields or clocks that the reason is about.
    """

    reason: str
    missing: tuple[str, ...] = ()


def decode_head(encoded: bytes) -> Head:
    """Returns a head. Refuses what its class does, HEAD_SIZE, HEAD_HEIGHT, HEAD_CUT, HEAD_NAMES_PERSON."""
    if len(encoded) > MAX_HEAD_BYTES:
        raise MalformedError("HEAD_SIZE", f"expected a head of at most {MAX_HEAD_BYTES} bytes, got {len(encoded)}")
    head = decode(Head, encoded)
    if (head.height == 0) != (not head.parents):
        raise MalformedError("HEAD_HEIGHT", "expected height 0 and no parents for a first entry, and only there")
    if any(names_by_number(text) for text in _texts(head.fields) if not _plain(text)):
        raise MalformedError("HEAD_NAMES_PERSON", "expected no person's number in a head", field="fields")
    cuts(head)
    return head


def cuts(head: Head) -> dict[NodeName, int]:
    """For each node that a head cuts, its last entry that counts as before (0: none). Refuses HEAD_CUT."""
    found = head.fields.get(CUT)
    if found is None:
        return {}
    pairs = [_CUT.fullmatch(text) for text in found] if isinstance(found, tuple) else []
    made = {NodeName(pair[1]): int(pair[2]) for pair in pairs if pair is not None}
    if not made or len(made) != len(pairs):
        raise MalformedError("HEAD_CUT", "expected a list of node:n, each node once", field=CUT)
    return made


def read_entry(encoded: bytes, *, name: str, author: NodeName) -> Entry:
    """Returns the entry of that name whose head a node signed. Refuses as `decode_head`, ENTRY_AUTHOR, ENTRY_OPENING.

    The caller has verified that the author signed the commitment `name`, and that the head is item 0 under it.
    """
    head = decode_head(encoded)
    if head.agency.node != author:
        raise UntrustedError("ENTRY_AUTHOR", f"expected an agency of {author}, which signed the entry", field="agency")
    if head.height == 0 and (head.n, author) != (1, record_node(head.record)):
        raise UntrustedError("ENTRY_OPENING", "expected the first entry from the node where the record was opened")
    return Entry(name=name, author=author, head=head)


def _plain(text: str) -> bool:
    """True for a digest or the name of a message, whose digits are nobody's."""
    return _DIGEST.fullmatch(text) is not None or _MESSAGE.fullmatch(text) is not None


def _texts(fields: Mapping[str, FieldValue]) -> list[str]:
    lists = [found if isinstance(found, tuple) else (found,) for found in fields.values()]
    return [text for found in lists for text in found if isinstance(text, str)]


def office_of(officer: str) -> AgencyId:
    """The office of an officer who is named in a field as `agency#officer`."""
    return parse_agency_id(officer.partition("#")[0])
