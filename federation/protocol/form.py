"""Forms: a class whose fields say how it is written, as canonical JSON or as a row of an agreed TOML file.

Rules kept: one value, one byte string: UTF-8, sorted names, no insignificant space, no floats, integers within 2^53
(for our ASCII names the RFC 8785 form); what decodes is encoded again and compared, so that every other spelling is
refused; unknown and repeated names, other types and nulls are refused as a whole. An error names the field and the form
that was expected, and no `repr` and no error shows what an item holds.
Trusts nothing: every byte string may come from a hostile peer. Source: RFC 8259, RFC 8785, DESIGN section 4.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, inspect, structs

from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.ids import AgencyId, Pair, format_time, matching, parse_agency_id, parse_pair, typed
from federation.protocol.keys import PublicKey, format_public_key, parse_public_key
from federation.protocol.unseen import verify_seen

JsonValue: TypeAlias = "str | int | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""What canonical JSON may hold. There are no floats: they have more than one written form."""

MAX_INTEGER = 2**53 - 1


def encode_canonical(value: Mapping[str, JsonValue]) -> bytes:
    """Returns the one canonical form of an object; refuses lone surrogates, which UTF-8 cannot carry (JSON_UTF8)."""
    try:
        return _CANONICAL.encode(value).encode()
    except UnicodeEncodeError as error:
        raise MalformedError("JSON_UTF8", "expected characters that UTF-8 can carry, got a lone surrogate") from error


def decode_canonical(encoded: bytes, *, what: str) -> dict[str, JsonValue]:
    """Decodes one canonical JSON object, named by `what` in errors; refuses any other spelling (JSON_*)."""
    value = _read_object(encoded, "utf-8", what=what)
    if encode_canonical(value) != encoded:
        raise MalformedError("JSON_NOT_CANONICAL", f"{what}: expected sorted names and no insignificant space")
    return value


def canonicalise(written: bytes, *, what: str) -> bytes:
    """Returns the canonical form of an object that a person may have edited or redirected into a file.

    Any order and space, a last newline and a byte order mark pass; JSON_* as ever for what else it says.
    """
    return encode_canonical(_read_object(written, json.detect_encoding(written), what=what))


def _read_object(encoded: bytes, encoding: str, *, what: str) -> dict[str, JsonValue]:
    try:
        text = encoded.decode(encoding)
    except UnicodeDecodeError as error:
        raise MalformedError("JSON_UTF8", f"{what}: expected UTF-8") from error
    try:
        value = _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MalformedError("JSON_SYNTAX", f"{what}: expected one JSON object and nothing after it") from error
    if not isinstance(value, dict):
        raise MalformedError("JSON_OBJECT", f"{what}: expected a JSON object")
    return value


def expect_names(
    value: Mapping[str, JsonValue], required: Iterable[str], optional: Iterable[str] = (), *, what: str
) -> None:
    """Refuses an object that lacks a required name (JSON_MISSING_NAME) or has another one (JSON_UNKNOWN_NAME)."""
    required_names = frozenset(required)
    missing = sorted(required_names - value.keys())
    if missing:
        raise MalformedError("JSON_MISSING_NAME", f"{what}: expected the name {missing[0]!r}", field=missing[0])
    unknown = sorted(value.keys() - required_names - frozenset(optional))
    if unknown:
        raise MalformedError("JSON_UNKNOWN_NAME", f"{what}: did not expect the name {unknown[0]!r:.60}")


def read_text(value: Mapping[str, JsonValue], name: str, *, what: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise MalformedError("JSON_TYPE", f"{what}: expected {name!r} to be a string", field=name)
    return found


def read_object(value: Mapping[str, JsonValue], name: str, *, what: str) -> dict[str, JsonValue]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise MalformedError("JSON_TYPE", f"{what}: expected {name!r} to be an object", field=name)
    return found


def _pairs_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("JSON_DUPLICATE_NAME", "expected each name once in a JSON object")
    return found


def _refuse_float(text: str) -> NoReturn:
    raise MalformedError("JSON_FLOAT", f"expected an integer, got {text!r:.30}")


def _parse_integer(text: str) -> int:
    if len(text) > 17 or not -MAX_INTEGER <= int(text) <= MAX_INTEGER:
        raise MalformedError("JSON_NUMBER", "expected an integer within 2^53")
    return int(text)


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs_once, parse_float=_refuse_float, parse_constant=_refuse_float, parse_int=_parse_integer
)


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every form. A default is empty (None, "", 0, ()) and left out, or `always` written.

    The class variables are for errors: what the form is called, and the reasons of a value of another form or type, and
    of a name that is missing or unknown. The type of a field may give its own (`fields`). `BLANK` names the fields that
    are written as "" where there is none.
    """

    WHAT: ClassVar[str] = "item"
    REASON: ClassVar[str] = "JSON_TYPE"
    TYPE_REASON: ClassVar[str] = "JSON_TYPE"
    MISSING_REASON: ClassVar[str] = "JSON_MISSING_NAME"
    UNKNOWN_REASON: ClassVar[str] = "JSON_UNKNOWN_NAME"
    BLANK: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        """Hides the content, so that a log line or a traceback names nobody."""
        return f"{type(self).__name__}(...)"


class Row(Item, frozen=True, kw_only=True):
    """The base of every row of an agreed TOML file."""

    REASON: ClassVar[str] = "TOML_CHOICE"
    TYPE_REASON: ClassVar[str] = "TOML_TYPE"
    MISSING_REASON: ClassVar[str] = "TOML_TYPE"
    UNKNOWN_REASON: ClassVar[str] = "TOML_UNKNOWN_NAME"


I = TypeVar("I", bound=Item)  # noqa: E741  # an item
_V = TypeVar("_V")


def always(default: _V) -> _V:
    """A default that is written, too, and must be there when it is read."""
    made: _V = msgspec.field(default_factory=lambda: default)
    return made


def replace(value: _V, /, **changes: Any) -> _V:  # noqa: ANN401  # as `dataclasses.replace`
    """The value with some fields changed, an item or a dataclass (as `copy.replace` of Python 3.13)."""
    if isinstance(value, msgspec.Struct):
        return structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]


def names_of(kind: object) -> tuple[str, ...]:
    """The names of the fields of an item or a dataclass, or of its class, in their order; none of anything else."""
    names: tuple[str, ...] | None = getattr(kind, "__struct_fields__", None)
    return tuple(getattr(kind, "__dataclass_fields__", ())) if names is None else names


Digest = Annotated[str, matching("[0-9a-f]{64}", form="64 lower-case hex digits", reason="JSON_DIGEST")]
Text = Annotated[str, matching(r"[^\x00-\x1f\x7f]{1,200}", form="1 to 200 characters without control characters")]
County = Annotated[str, matching("[0-9]{6}", form="six digits")]
"""A county by its six digits (GB/T 2260)."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER, extra={"form": "an integer from 1 on"})]
Time = Annotated[datetime, typed("a time such as 2026-11-23T08:00:00.000Z", reason="TIME")]
"""An aware moment, written in UTC with three fraction digits."""


def encode(item: Item) -> bytes:
    """Returns the one canonical form of an item; refuses lone surrogates (JSON_UTF8) and the unseen (TEXT_UNSEEN)."""
    encoded = _encode(item)
    verify_seen(encoded, what=item.WHAT)
    return encoded


def _encode(item: Item) -> bytes:
    try:
        return _ENCODER.encode(_written(item))
    except UnicodeEncodeError as error:
        raise MalformedError("JSON_UTF8", "expected characters that UTF-8 can carry, got a lone surrogate") from error


def decode(kind: type[I], encoded: bytes) -> I:
    """Returns the item; encoding it again gives the same bytes. Refuses JSON_* and as the class and its fields say."""
    try:
        item: I = _decoder(kind).decode(encoded)
        if _encode(item) == encoded and _check(item):
            return item
    except (msgspec.MsgspecError, BridgeheadError, ValueError, RecursionError):
        pass
    return from_object(kind, decode_canonical(encoded, what=kind.WHAT))


def to_object(item: Item) -> dict[str, JsonValue]:
    """Returns an item as the JSON object that is written of it, to stand in another one."""
    found: dict[str, JsonValue] = msgspec.json.decode(encode(item))
    return found


def texts_of(item: Item, fields: Iterable[str]) -> Mapping[str, str]:
    """Those fields of an item as text; what it lacks is left out."""
    found = {name: getattr(item, name) for name in fields}
    return MappingProxyType({name: str(value) for name, value in found.items() if value is not None})


def from_object(kind: type[I], value: Mapping[str, JsonValue]) -> I:
    """Returns the item that a JSON object is; refuses others as `decode` does."""
    try:
        item: I = _decoder(kind).decode(msgspec.json.encode(_without_blanks(kind, value)))
        if msgspec.json.decode(_encode(item)) == value and _check(item):
            return item
    except (msgspec.MsgspecError, BridgeheadError, ValueError):
        pass
    raise _find_fault(kind, value, kind.WHAT) or MalformedError(kind.TYPE_REASON, f"{kind.WHAT}: expected another form")


def load_toml(kind: type[I], table: Mapping[str, object], *, what: str) -> I:
    """Returns the row that a TOML table is, named by `what` in errors; refuses TOML_* and as the fields say."""
    fault = _find_fault(kind, table, what)
    if fault is not None:
        raise fault
    return msgspec.convert(table, kind, dec_hook=_read, builtin_types=(date, datetime))


def parse_toml(text: str, *, what: str) -> dict[str, Any]:
    """Parses a TOML document; refuses what is none (TOML_SYNTAX), naming it by `what`."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedError("TOML_SYNTAX", f"{what}: expected TOML 1.0: {error}") from error


def _write(value: object) -> str:
    write = _WRITE.get(type(value))
    if write is None:
        raise TypeError(f"an item holds a {type(value).__name__}, which has no written form")
    return write(value)


def _read(kind: type[Any], written: object) -> object:
    read = _READ.get(kind)
    if read is None or not isinstance(written, str):
        raise ValueError(kind.__name__)
    return read(written)


_WRITE: Final[Mapping[type[Any], Callable[[Any], str]]] = MappingProxyType(
    {AgencyId: str, Pair: str, PublicKey: format_public_key}
)
_READ: Final[Mapping[type[Any], Callable[[str], object]]] = MappingProxyType(
    {AgencyId: parse_agency_id, Pair: parse_pair, PublicKey: parse_public_key}
)
_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_write)


@cache
def _decoder(kind: type[I]) -> msgspec.json.Decoder[I]:
    for field in _fields(kind):
        if field.default not in {_NONE, None, (), "", 0}:  # msgspec might not know it again: two spellings of one value
            raise TypeError(f"{kind.__name__}.{field.name}: expected an empty default or `always`")
    return msgspec.json.Decoder(kind, dec_hook=_read)


class _Field(Struct, frozen=True, kw_only=True):
    """One field: its name in the class and as written, its type, what it may be at its top, and what it is made of."""

    name: str
    written: str
    annotation: Any
    default: Any
    required: bool
    tops: tuple[inspect.Type, ...]
    parts: tuple[inspect.Type, ...]
    extra: Mapping[str, Any]
    blank: bool

    @property
    def items(self) -> tuple[type[Item], ...]:
        """The forms that the field holds, itself or within a list or a mapping."""
        structs_within = (part.cls for part in self.parts if isinstance(part, inspect.StructType))
        return tuple(within for within in structs_within if issubclass(within, Item))


@cache
def _fields(kind: type[Item]) -> tuple[_Field, ...]:
    found = []
    for field in structs.fields(kind):
        top, blank = inspect.type_info(field.type), field.name in kind.BLANK
        written = field.default is _NONE or blank  # a default that is `always` written is none to msgspec
        parts = tuple(_parts(top, within=True))
        extras = [part.extra for part in reversed(parts) if isinstance(part, inspect.Metadata) and part.extra]
        found.append(
            _Field(
                name=field.name,
                written=field.encode_name,
                annotation=field.type,
                default=field.default,
                required=field.required if issubclass(kind, Row) else written,
                tops=tuple(_parts(top, within=False)),
                parts=parts,
                extra={name: value for extra in extras for name, value in extra.items()},
                blank=blank,
            )
        )
    return tuple(found)


def _parts(kind: inspect.Type, *, within: bool) -> Iterator[inspect.Type]:
    """Returns what a type is made of: itself, what it annotates, its alternatives and, if asked for, what it holds."""
    yield kind
    names = ("type", "item_type", "key_type", "value_type") if within else ("type",)
    found = [getattr(kind, name, None) for name in names]
    for part in (*found, *getattr(kind, "types", ())):
        if part is not None:
            yield from _parts(part, within=within)


@cache
def _timed(kind: type[Item]) -> tuple[str, ...]:
    """The names of the fields that hold times, mappings or blanks, which msgspec would write otherwise."""
    return tuple(
        field.name
        for field in _fields(kind)
        if field.blank
        or any(isinstance(part, inspect.DateTimeType | inspect.DictType) for part in field.parts)
        or any(map(_timed, field.items))
    )


def _written(value: Any) -> Any:  # noqa: ANN401  # whatever a field holds
    if isinstance(value, Item):
        names = _timed(type(value))
        if not names:
            return value
        written = {name: _written(getattr(value, name)) for name in names}
        return structs.replace(value, **written | {name: "" for name in value.BLANK if written[name] is None})
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, tuple):
        return tuple(map(_written, value))
    return {str(key): _written(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _without_blanks(kind: type[Item], value: Any) -> Any:  # noqa: ANN401  # JSON
    """The object with None for the blanks of its class and of the items within."""
    if not isinstance(value, dict):
        return [_without_blanks(kind, each) for each in value] if isinstance(value, list) else value
    within = {field.written: field.items for field in _fields(kind) if field.items}
    blanks = {field.written for field in _fields(kind) if field.blank}
    kept = {name: None if found == "" and name in blanks else found for name, found in value.items()}
    return kept | {name: _without_blanks(items[0], kept[name]) for name, items in within.items() if name in kept}


@cache
def _checks(kind: type[Item]) -> tuple[tuple[str, Callable[[Any], object]], ...]:
    """The names of the fields that a function checks, and of those that hold items with such."""
    own = [(field.name, field.extra["check"]) for field in _fields(kind) if "check" in field.extra]
    return (*own, *((field.name, _check) for field in _fields(kind) if any(map(_checks, field.items))))


def _check(value: Any) -> bool:  # noqa: ANN401  # whatever a field holds
    if isinstance(value, Item):
        for name, check in _checks(type(value)):
            within = getattr(value, name)
            if within is not None and check(within) is False:
                return False
        return True
    if isinstance(value, tuple):
        return all(map(_check, value))
    return all(map(_check, value.values())) if isinstance(value, Mapping) else True


def _find_fault(kind: type[Item], value: Mapping[str, Any], what: str) -> MalformedError | None:
    """The first fault of an object: of its names, then of its values in the order of the class."""
    fields = {field.written: field for field in _fields(kind)}
    for name in sorted(name for name, field in fields.items() if name not in value and field.required):
        if issubclass(kind, Row):
            return _wrong(fields[name], what, reason=kind.MISSING_REASON)
        return MalformedError(kind.MISSING_REASON, f"{what}: expected the name {name!r}", field=name)
    for name in sorted(value.keys() - fields.keys()):
        return MalformedError(kind.UNKNOWN_REASON, f"{what}: did not expect the name {name!r:.60}")
    faults = (_field_fault(kind, field, value[name], what) for name, field in fields.items() if name in value)
    return next((fault for fault in faults if fault is not None), None)


def _field_fault(kind: type[Item], field: _Field, found: Any, what: str) -> MalformedError | None:  # noqa: ANN401  # JSON
    toml = issubclass(kind, Row)
    type_reason: str = field.extra.get("type_reason", kind.TYPE_REASON)
    reason: str = field.extra.get("reason", kind.REASON)
    if field.blank and found == "":
        return None
    if not _is_of_type(field, found, toml=toml):
        return _wrong(field, what, reason=type_reason)
    for item in field.items:
        mapping = any(isinstance(top, inspect.DictType) for top in field.tops)
        for within in found if isinstance(found, list) else found.values() if mapping else (found,):
            fault = _find_fault(item, within, f"{what}, {field.written}") if isinstance(within, dict) else None
            if fault is not None:
                return fault
    try:
        spelled = _spell(field, found, toml=toml)
    except BridgeheadError as error:
        return _wrong(field, what, reason=error.reason)
    except (msgspec.MsgspecError, ValueError):
        texts = isinstance(found, list) and not toml and all(isinstance(each, str) for each in found)
        scalar = isinstance(found, str | int)
        return _wrong(field, what, reason=reason if scalar or (texts and not field.items) else type_reason)
    if spelled == found:
        return None
    return _wrong(field, what, reason=reason if isinstance(found, str) else type_reason)


def _spell(field: _Field, found: Any, *, toml: bool) -> Any:  # noqa: ANN401  # JSON or TOML
    """The value that was found, read and written again; raises when it cannot be read."""
    plain = _without_blanks(field.items[0], found) if field.items else found
    if toml:
        made = msgspec.convert(plain, field.annotation, dec_hook=_read, builtin_types=(date, datetime))
    else:  # conversion would leave the names of a mapping as they are
        made = msgspec.json.decode(msgspec.json.encode(plain), type=field.annotation, dec_hook=_read)
    if field.extra.get("check", _check)(made) is False:
        raise ValueError(field.name)
    if toml and isinstance(made, frozenset) and len(made) != len(found):
        raise MalformedError("TOML_REPEATED", "a value stands twice")
    if toml:
        return found
    return None if made == field.default else msgspec.json.decode(_ENCODER.encode(_written(made)))


def _is_of_type(field: _Field, found: Any, *, toml: bool) -> bool:  # noqa: ANN401  # JSON or TOML
    types = {
        date if toml and isinstance(top, inspect.DateType) else _TYPES[type(top)][0]
        for top in field.tops
        if type(top) in _TYPES
    }
    return type(found) in types and (type(found) is not int or 0 <= found <= MAX_INTEGER)


def _wrong(field: _Field, what: str, *, reason: str) -> MalformedError:
    form = field.extra.get("form")
    for top in field.tops:
        if form is None and isinstance(top, inspect.EnumType):
            form = f"one of {', '.join(top.cls)}"
        elif form is None and type(top) in _TYPES:
            form = _TYPES[type(top)][1]
    return MalformedError(reason, f"{what}: expected {field.written!r} to be {form}", field=field.written)


_NONE: Final = msgspec.NODEFAULT
_TYPES: Final[Mapping[type[inspect.Type], tuple[type, str]]] = MappingProxyType(
    {
        inspect.StrType: (str, "a string"),
        inspect.EnumType: (str, "one of the words known"),
        inspect.DateType: (str, "a date such as 2026-01-01"),
        inspect.DateTimeType: (str, "a time"),
        inspect.CustomType: (str, "text of its form"),
        inspect.BytesType: (str, "base64"),
        inspect.BoolType: (bool, "true or false"),
        inspect.IntType: (int, "an integer from 0 to 2^53-1"),
        inspect.LiteralType: (int, "the version known"),
        inspect.VarTupleType: (list, "a list"),
        inspect.FrozenSetType: (list, "a sorted list of different values"),
        inspect.StructType: (dict, "an object"),
        inspect.DictType: (dict, "an object"),
    }
)
"""What each type is written as, and how errors tell it."""
