"""Any value of any shape that goes over the wire, for Hypothesis; and values compared when they hold errors."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum

import msgspec
from hypothesis import strategies as st

from federation.domain.documents import Manifest
from federation.domain.permits import PermitUrn
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError
from federation.protocol.ids import AgencyId, MessageId, NodeName, Pair
from federation.wire import pb
from federation.wire.agency.documents import UploadStanding
from federation.wire.agency.oversight import News

_NODES = st.sampled_from((NodeName("zhejiang"), NodeName("jiangxi"), NodeName("fujian")))
_KNOWN = {
    NodeName: _NODES,
    MessageId: st.just(MessageId("01890a5d-ac96-774b-bcce-b302099a8057")),
    PermitUrn: st.from_regex(r"urn:permit:[0-9]{6}:[0-9]{4}:[0-9A-Z]{1,20}", fullmatch=True).map(PermitUrn),
    AgencyId: st.builds(AgencyId, _NODES, st.just("330822"), st.sampled_from(("police", "service-hall"))),
    Pair: st.just(Pair(NodeName("zhejiang"), NodeName("jiangxi"))),
    BridgeheadError: st.builds(
        lambda cls, seq: cls("SOME_REASON", "a sentence", seq=str(seq)),
        st.sampled_from((NotFoundError, RuleError)),
        st.integers(0, 9),
    ),
    str: st.text(max_size=8),
    bool: st.booleans(),
    int: st.integers(1, 256),
    bytes: st.binary(max_size=8),
    date: st.dates(),
    datetime: st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),
}
_DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)


def values(shape) -> st.SearchStrategy:
    """Values of a shape; a field that may be absent sometimes is."""
    for shape in pb._layers(shape):  # noqa: B020 - down to the class
        if shape in _KNOWN:
            return _KNOWN[shape]
    if shape is type(None):
        return st.none()
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(values(each) for each in arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is frozenset:
        return st.frozensets(values(arguments[0]), max_size=3)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if issubclass(shape, Enum):
        return st.sampled_from(list(shape))
    built = st.builds(shape, **_fields(shape))
    return built.filter(lambda news: (news.notice is None) is not (news.flag is None)) if shape is News else built


def _fields(shape) -> dict[str, st.SearchStrategy]:
    """Strategies by field; a digest is one."""
    declared = pb._DECLARED.get(shape)
    hints = {name: hint for name, hint in pb._hints(shape).items() if not declared or name not in declared.unsent}
    digests = {"photo_digest": _DIGESTS | st.none(), "root": _DIGESTS.map(bytes.fromhex)}
    if shape in (Manifest, UploadStanding):  # theirs is written in hex
        digests["root"] = _DIGESTS
    return {name: digests[name] if name in digests else values(hint) for name, hint in hints.items()}


def plain(value):
    """The value with every error in it as what it says, since errors have no equality."""
    if isinstance(value, BridgeheadError):
        return type(value), value.reason, value.message, dict(value.facts)
    if isinstance(value, tuple | list):
        return tuple(plain(each) for each in value)
    if dataclasses.is_dataclass(value):
        return type(value), {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return type(value), {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return value
