# ruff: noqa: ANN401 - values of any class, messages of either make
"""Values to protobuf messages and back, by name: a field of a class is the field of the message with its name.

A value is a frozen dataclass or a msgspec Struct; its shape is the class, or `tuple[Class, ...]`, or one value alone.
A pair of shape and message is compiled once, on first use; a field that only one side has is a `TypeError` then, and
`tests/wire/test_rpcs.py` compiles every pair of the table.

Rules kept: what is converted back is an equal value; a field that is absent stays absent; a word of an enum that this
version does not know is malformed; an error names the field and never the value.

How shapes and messages pair, besides equal names:
- a message with one field (besides `act`) that is not a field of the class is that field's value alone;
- a union of classes is a message that is one `oneof`, its members in the order of the union;
- a property of the class is sent and not read back;
- `Codec` in an `Annotated` type, in `TEXTS` or in `MESSAGES` says how one type travels; `declare` says which fields
  of a class lie flat in its message, and which stay at home.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Struct

from federation.domain.permits import PermitUrn, parse_permit_urn
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.form import names_of
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
    Pair,
    parse_agency_id,
    parse_message_id,
    parse_node_name,
    parse_pair,
)
from federation.v1 import exchange_pb2
from federation.wire.status import error_of, facts_of, kind_of

ACT: Final = "act"
"""The field of a request that says who acts; the call carries it beside the question."""

Step: TypeAlias = Callable[[Any], Any]
Field: TypeAlias = Any
Descriptor: TypeAlias = Any
"""Descriptors come in two makes, which share no class."""


class Codec(Struct, frozen=True):
    """The conversion of one value, out and back; None leaves it as it is."""

    out: Step | None = None
    back: Step | None = None


TEXTS: Final[Mapping[object, Codec]] = {
    NodeName: Codec(None, parse_node_name),
    MessageId: Codec(None, parse_message_id),
    PermitUrn: Codec(None, parse_permit_urn),
    AgencyId: Codec(str, parse_agency_id),
    Pair: Codec(str, parse_pair),
}
"""Types that travel as text of a form of their own."""


def _failure(error: BridgeheadError) -> exchange_pb2.Failure:
    kind = exchange_pb2.FailureKind.Value(f"FAILURE_KIND_{kind_of(error)}")
    return exchange_pb2.Failure(kind=kind, reason=error.reason, message=error.message[:1000], facts=facts_of(error))


def _error(found: exchange_pb2.Failure) -> BridgeheadError:
    """The error that an answer holds; an unknown kind is an `UnavailableError`: nothing is known, so try again."""
    number = exchange_pb2.FailureKind.DESCRIPTOR.values_by_number.get(found.kind)
    kind = number.name.removeprefix("FAILURE_KIND_") if number else ""
    return error_of(kind, reason=found.reason, message=found.message, facts=found.facts)


MESSAGES: Final[dict[object, Codec]] = {BridgeheadError: Codec(_failure, _error)}
"""Types whose message is written and read by hand."""


class _Declared(Struct, frozen=True, kw_only=True):
    flat: Mapping[str, Mapping[str, str]] = {}
    names: Mapping[str, str] = {}
    unsent: frozenset[str] = frozenset()


_DECLARED: Final[dict[type, _Declared]] = {}


def declare(
    cls: type,
    *,
    flat: Mapping[str, Mapping[str, str]] | None = None,
    names: Mapping[str, str] | None = None,
    unsent: frozenset[str] = frozenset(),
) -> None:
    """Says what of a class has no field of its name in the message.

    `flat`: fields whose own fields lie in the message itself, each with the names that differ there. `names`: what
    fields are called in the message where that differs. `unsent`: fields with a default that stay at home.
    """
    _DECLARED[cls] = _Declared(flat=flat or {}, names=names or {}, unsent=unsent)


def pair(shape: Any, message: Any) -> Codec:
    """The conversion of values of a shape to messages of that class and back; TypeError when they do not pair.

    The way back refuses a field of another form by name (DATE, FIELD_MISSING, ANSWER and the like).
    """
    return _pair(shape, message)


@cache
def _pair(shape: Any, message: Any) -> Codec:
    if shape in MESSAGES:
        return MESSAGES[shape]
    if typing.get_origin(shape) in (types.UnionType, typing.Union):
        return _choice(typing.get_args(shape), message)
    fields = [field for field in message.DESCRIPTOR.fields if field.name != ACT]
    names = _hints(shape).keys() - _DECLARED.get(shape, _Declared()).flat.keys() if _is_record(shape) else None
    if names is None or (len(fields) == 1 and fields[0].name not in names):
        if len(fields) != 1:
            raise TypeError(f"{shape} ~ {message.DESCRIPTOR.name}: expected a message with one field")
        return _alone(shape, message, fields[0])
    return _record(shape, message)


def _record(cls: type, message: Any) -> Codec:
    descriptor = message.DESCRIPTOR
    members, used = _members(cls, descriptor, {})
    silent = {field.name for field in descriptor.fields} - used - {ACT}
    derived = sorted(name for name in silent if isinstance(getattr(cls, name, None), property))
    if silent - set(derived):
        raise TypeError(f"{cls.__name__} ~ {descriptor.name}: no field for {', '.join(sorted(silent - set(derived)))}")
    choices = tuple(one.name for one in descriptor.oneofs if len(one.fields) > 1)

    def out(value: Any) -> Any:
        found: dict[str, Any] = {}
        members.fill(value, found)
        for name in derived:
            found[name] = getattr(value, name)
        return message(**found)

    def back(found: Any) -> Any:
        for choice in choices:
            _chosen(found, choice)
        return members.read(found)

    return Codec(out, back if choices else members.read)


class _Member(typing.NamedTuple):
    """One field of a class: its own name, its name in the message, how it travels, and whether it may be absent."""

    name: str
    wire: str
    out: Step | None
    back: Step | None
    optional: bool
    required: bool


class _Members(Struct, frozen=True):
    cls: type
    own: tuple[_Member, ...]
    flat: tuple[tuple[str, _Members], ...]

    def fill(self, value: Any, found: dict[str, Any]) -> None:
        for name, wire, out, _, _, _ in self.own:
            own = getattr(value, name)
            if own is not None:
                found[wire] = own if out is None else out(own)
        for name, inner in self.flat:
            inner.fill(getattr(value, name), found)

    def read(self, message: Any) -> Any:
        found: dict[str, Any] = {}
        for name, wire, _, back, optional, required in self.own:
            if (optional or required) and not message.HasField(wire):
                if required:
                    raise MalformedError("FIELD_MISSING", f"expected {wire!r}", field=wire)
                found[name] = None
            else:
                own = getattr(message, wire)
                found[name] = own if back is None else back(own)
        for name, inner in self.flat:
            found[name] = inner.read(message)
        return self.cls(**found)


def _members(cls: type, descriptor: Descriptor, names: Mapping[str, str]) -> tuple[_Members, set[str]]:
    declared = _DECLARED.get(cls, _Declared())
    names = {**declared.names, **names}
    used: set[str] = set()
    own: list[_Member] = []
    flat: list[tuple[str, _Members]] = []
    for name, hint in _hints(cls).items():
        if name in declared.flat:
            inner, taken = _members(hint, descriptor, declared.flat[name])
            flat.append((name, inner))
            used |= taken
        elif name not in declared.unsent:
            own.append(_member(cls, name, hint, descriptor.fields_by_name.get(names.get(name, name))))
            used.add(own[-1].wire)
    return _Members(cls, tuple(own), tuple(flat)), used


def _member(cls: type, name: str, hint: Any, field: Field) -> _Member:
    if field is None:
        raise TypeError(f"{cls.__name__}.{name}: its message has no such field")
    inner, optional = _optional(hint)
    if optional and not field.has_presence:
        raise TypeError(f"{cls.__name__}.{name}: {field.full_name} cannot be absent")
    codec = _field(inner, field)
    required = not optional and field.message_type is not None and not field.is_repeated
    return _Member(name, field.name, codec.out, codec.back, optional, required)


def _alone(shape: Any, message: Any, field: Field) -> Codec:
    codec, name = _field(shape, field), field.name
    required = field.message_type is not None and not field.is_repeated

    def out(value: Any) -> Any:
        return message(**{name: value if codec.out is None else codec.out(value)})

    def back(found: Any) -> Any:
        if required and not found.HasField(name):
            raise MalformedError("FIELD_MISSING", f"expected {name!r}", field=name)
        own = getattr(found, name)
        return own if codec.back is None else codec.back(own)

    return Codec(out, back)


def _choice(shapes: Sequence[Any], message: Any) -> Codec:
    descriptor = message.DESCRIPTOR
    if len(descriptor.oneofs) != 1 or len(descriptor.fields) != len(shapes):
        raise TypeError(f"{descriptor.name}: expected one choice of {len(shapes)}")
    (choice,) = descriptor.oneofs
    ways = [
        (_class_of(shape), field.name, _field(shape, field)) for shape, field in zip(shapes, choice.fields, strict=True)
    ]
    backs = {name: codec.back for _, name, codec in ways}

    def out(value: Any) -> Any:
        for cls, name, codec in ways:
            if isinstance(value, cls):
                return message(**{name: value if codec.out is None else codec.out(value)})
        raise TypeError(f"{descriptor.name}: expected one of {', '.join(backs)}, got {type(value).__name__}")

    def back(found: Any) -> Any:
        name = _chosen(found, choice.name)
        own, read = getattr(found, name), backs[name]
        return own if read is None else read(own)

    return Codec(out, back)


def _chosen(message: Any, choice: str) -> str:
    name = message.WhichOneof(choice)
    if name is None:
        members = ", ".join(field.name for field in message.DESCRIPTOR.oneofs_by_name[choice].fields)
        raise MalformedError("ANSWER", f"expected one of {members}, got none", field=choice)
    return str(name)


def _field(hint: Any, field: Field) -> Codec:
    """Returns the conversion of one field of that type; repeated fields are tuples or sets, maps mappings."""
    if typing.get_origin(hint) is typing.Annotated:  # the rules of an item hold where the item is read
        return _own(hint) or _field(hint.__origin__, field)
    origin = typing.get_origin(hint)
    if origin is tuple or origin is frozenset:
        if not field.is_repeated:
            raise TypeError(f"{field.full_name}: expected a repeated field")
        each = _one(typing.get_args(hint)[0], field)
        return _many(each, origin)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _map(typing.get_args(hint), field)
    if field.is_repeated:
        raise TypeError(f"{field.full_name}: expected a tuple or a frozenset, got {hint}")
    return _one(hint, field)


def _many(each: Codec, made: type) -> Codec:
    out, back = each.out, each.back
    ordered: Step = sorted if made is frozenset else tuple
    return Codec(
        ordered if out is None else lambda found: [out(one) for one in ordered(found)],
        made if back is None else lambda found: made(back(one) for one in found),
    )


def _map(hints: Sequence[Any], field: Field) -> Codec:
    if not field.is_repeated or field.message_type is None or not field.message_type.GetOptions().map_entry:
        raise TypeError(f"{field.full_name}: expected a map")
    inner, optional = _optional(hints[1])
    entry = field.message_type.fields_by_name
    key, value = _one(hints[0], entry["key"]), _one(inner, entry["value"])
    if key == value == Codec():
        return Codec(dict, dict)

    def out(found: Mapping[Any, Any]) -> dict[Any, Any]:
        return {
            (one if key.out is None else key.out(one)): (
                0 if own is None else own if value.out is None else value.out(own)
            )
            for one, own in found.items()
        }

    def back(found: Mapping[Any, Any]) -> dict[Any, Any]:
        return {
            (one if key.back is None else key.back(one)): (
                None if optional and own == 0 else own if value.back is None else value.back(own)
            )
            for one, own in found.items()
        }

    return Codec(out, back)


def _one(hint: Any, field: Field) -> Codec:
    """Returns the conversion of one value: the first of its own codec, text form, message, enum, and a scalar's."""
    for layer in _layers(hint):
        if (own := _own(layer)) is not None:
            return own
        if layer in TEXTS:
            return Codec(TEXTS[layer].out, _named(TEXTS[layer].back, field.name))
        hint = layer
    if field.message_type is not None:
        return _nested(hint, field)
    if field.enum_type is not None:
        return _enum(hint, field)
    return _scalar(hint, field)


def _scalar(hint: Any, field: Field) -> Codec:
    """A day and a word are text, a digest in hexadecimal is bytes; all else is the same on both sides."""
    if field.type == FieldDescriptor.TYPE_BYTES and hint in (bytes, str):
        return Codec() if hint is bytes else Codec(bytes.fromhex, bytes.hex)
    if field.type == FieldDescriptor.TYPE_STRING and hint is date:
        day = f"{field.name!r} to be a day of the calendar"
        return Codec(date.isoformat, _checked(date.fromisoformat, field.name, reason="DATE", expected=day))
    if field.type == FieldDescriptor.TYPE_STRING and isinstance(hint, type) and issubclass(hint, Enum):
        return Codec(lambda word: word.value, _word(hint, field.name))
    if hint is not _PLAIN.get(field.cpp_type) or field.type == FieldDescriptor.TYPE_BYTES:
        raise TypeError(f"{field.full_name}: does not hold {hint}")
    return Codec()


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = {
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_STRING: str,
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_INT64: int,
    FieldDescriptor.CPPTYPE_UINT32: int,
    FieldDescriptor.CPPTYPE_UINT64: int,
}


def _nested(hint: Any, field: Field) -> Codec:
    name = field.message_type.full_name
    if name == "google.protobuf.Timestamp" and hint is datetime:
        return Codec(_timestamp, lambda found: found.ToDatetime(tzinfo=UTC))
    if name == "google.protobuf.Duration" and hint is timedelta:
        return Codec(_duration, lambda found: found.ToTimedelta())
    return pair(hint, GetMessageClass(field.message_type))


def _timestamp(time: datetime) -> Timestamp:
    """As `FromDatetime` of an aware time, which goes by way of the calendar."""
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def _duration(time: timedelta) -> Duration:
    found = Duration()
    found.FromTimedelta(time)
    return found


def _enum(hint: Any, field: Field) -> Codec:
    """A word and the number of its name: `Sex.MALE` is `SEX_MALE`."""
    known = field.enum_type.values_by_name
    prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
    lacking = [word.name for word in hint if prefix + word.name not in known]
    if lacking:
        raise TypeError(f"{field.full_name}: no {', '.join(lacking)}")
    numbers = {word: known[prefix + word.name].number for word in hint}
    words = {number: word for word, number in numbers.items()}
    return Codec(numbers.__getitem__, _word(words.__getitem__, field.name))


def _word(find: Step, name: str) -> Step:
    return _checked(find, name, reason="ENUM_VALUE", expected=f"a known word in {name!r}")


def _checked(read: Step, name: str, *, reason: str, expected: str) -> Step:
    """The reader of a field, its error naming the field in place of the value."""

    def back(found: Any) -> Any:
        try:
            return read(found)
        except (KeyError, ValueError):
            raise MalformedError(reason, f"expected {expected}", field=name) from None

    return back


def _named(parse: Step | None, name: str) -> Step | None:
    """The parser of a text form, its error naming the field in place of the text."""
    if parse is None:
        return None

    def back(text: str) -> Any:
        try:
            return parse(text)
        except MalformedError as error:
            raise MalformedError(error.reason, f"expected {name!r} in its form", field=name) from None

    return back


def _is_record(shape: Any) -> bool:
    return isinstance(shape, type) and (dataclasses.is_dataclass(shape) or hasattr(shape, "__struct_fields__"))


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in names_of(cls)}


def _optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return hint, False
    rest = [each for each in typing.get_args(hint) if each is not type(None)]
    if len(rest) == len(typing.get_args(hint)):
        return hint, False
    return (rest[0] if len(rest) == 1 else typing.Union[tuple(rest)]), True  # noqa: UP007 - made of a list


def _own(hint: Any) -> Codec | None:
    return next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Codec)), None)


def _layers(hint: Any) -> Iterator[Any]:
    """A type and what it was made of: new types and annotated ones, down to the class."""
    while True:
        yield hint
        if hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif typing.get_origin(hint) is typing.Annotated:
            hint = hint.__origin__
        else:
            return


def _class_of(shape: Any) -> type:
    *_, found = _layers(shape)
    if not isinstance(found, type):
        raise TypeError(f"expected a class in a choice, got {found}")
    return found
