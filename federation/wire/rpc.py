# ruff: noqa: ANN401 - values of any class, messages of either make
"""One line an RPC: its name, question and answer, who may call it where, its shortest deadline, why nobody signs it.

An agency's certificate is an office's, so the officer who acts signs each call with their own registered key: over the
RPC, the request id and the digest of the very bytes that are sent (`act_text`). The signature travels beside the
request; the node verifies it before a step is taken. A line that needs none says why.

The lines stand in `agency/` and `peer`; `table` has them all. Both ports, both clients and the gate read them; an RPC
that no port binds is offered to nobody. The shape rules of the proto files are checked before a field is read, and
their error names the field and what was expected, never the value; a function that answers an RPC is handed values and
the caller that the gate admitted, and knows no protobuf. Source: DESIGN section 3 step 2, protovalidate.
"""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeAlias, TypeVar, cast

from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from msgspec import Struct

from federation.protocol.errors import MalformedError
from federation.protocol.form import encode_canonical, names_of
from federation.protocol.ids import AgencyId
from federation.protocol.policy.book import Decision
from federation.wire.pb import ACT, Codec, Step, declare, pair


class TlsFiles(Struct, frozen=True, kw_only=True):
    """A certificate (PEM, leaf first) and its ECDSA P-256 key (PEM). Replacing the files needs no restart."""

    certificate: Path
    key: Path


class ClientProfile(Struct, frozen=True, kw_only=True):
    """The client of an `agency`; `server_name` is `<node>.<federation>`, None takes the host of the address."""

    agency: AgencyId
    address: str
    tls: TlsFiles
    authority: Path
    server_name: str | None = None


class Act(Struct, frozen=True, kw_only=True):
    """The act behind a request: officer, purpose, function; `request_id` is the idempotency key, a UUID."""

    request_id: str
    purpose: str
    function: str
    officer: str


class Ruling(Decision, frozen=True, kw_only=True):
    """A decision, under which agreement it was made; the explanations are empty unless policy refused."""

    agreement_version: int
    explanation_zh: str = ""
    explanation_en: str = ""


ACT_TYPE: Final = "application/vnd.bridgehead.act.v1+json"
SIGNATURE_KEY: Final = "bridgehead-officer-signature-bin"
"""The metadata of a call that carries the signature: 64 bytes, Ed25519."""


class SignedAct(Struct, frozen=True, kw_only=True):
    """The text that the officer's own key signs for a call, and the signature; empty when none came with it."""

    text: bytes
    signature: bytes


def act_text(path: str, agency: AgencyId, act: Act, *, request: bytes) -> bytes:
    """The exact bytes to sign for a call: which RPC, by whom, under which id, and the SHA-256 of the bytes sent."""
    return encode_canonical(
        {
            "type": ACT_TYPE,
            "rpc": path,
            "agency": str(agency),
            "officer": act.officer,
            "request_id": act.request_id,
            "content": hashlib.sha256(request).hexdigest(),
        }
    )


def ruling_of(
    decision: Decision, *, agreement_version: int, explanation_zh: str = "", explanation_en: str = ""
) -> Ruling:
    return Ruling(
        **{each: getattr(decision, each) for each in names_of(Decision)},
        agreement_version=agreement_version,
        explanation_zh=explanation_zh,
        explanation_en=explanation_en,
    )


class Nothing(Struct, frozen=True):
    """The question of an RPC that asks for all there is."""


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

Q = TypeVar("Q")
A = TypeVar("A")
PACKAGE: Final = "federation.v1"
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""The largest request or response, refused before it is parsed."""
MESSAGE_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # a server refuses what is packed
    ("grpc.per_message_decompression", 0),  # a client would unpack it all the same
)
"""How messages travel at both ends: bounded, and never packed: gRPC unpacks first and asks for the size afterwards."""


class Side(StrEnum):
    PEER = "peer"
    AGENCY = "agency"


class OwnKey(StrEnum):
    """The signing of a call by the officer who acts, with their own registered key."""

    ALWAYS = "always"
    NEVER = "never"
    ADMINISTRATOR = "administrator"
    """By the key of an administrator of the office, which signs no other call."""


AGENCY: Final = frozenset({Side.AGENCY})
PEER: Final = frozenset({Side.PEER})
BOTH: Final = AGENCY | PEER
POLICE: Final = frozenset({"police"})
COUNTERS: Final = frozenset({"service-hall", "police"})
MARKET: Final = frozenset({"market"})
AUDIT: Final = frozenset({"audit"})
INSPECTORS: Final = AUDIT | {"procuratorate"}
READS: Final = 0.05
WRITES: Final = 0.1
IMPORTS: Final = 0.5
"""Deadline floors in seconds: with less left the work would be thrown away."""


DEFAULT_PAGE: Final = 100


def page_size(most: int) -> Codec:
    """The size of a page as it is asked for: none named is `DEFAULT_PAGE`, and never more than `most`."""
    return Codec(None, lambda asked: min(asked or DEFAULT_PAGE, most))


PageSize: TypeAlias = Annotated[int, page_size(1000)]


class PageQuery(Struct, frozen=True, kw_only=True):
    """`page_size` is 1 to 1,000, `page_token` empty for the first; in the answer, empty is the only sign of the end."""

    page_size: PageSize = DEFAULT_PAGE
    page_token: str = ""


declare(Ruling, unsent=frozenset({"errors", "by_desk"}))


@dataclass(frozen=True, eq=False)
class Rpc(Generic[Q, A]):
    """One RPC. Every one is idempotent: by the statement's id, `request_id`, or import id and chunk.

    `kinds` are the kinds of agency that may call it, None for every one of the node's own province. `floor_seconds` is
    the shortest deadline that is accepted, None for a stream, which lives as long as its connection. `shared`: the
    answer is one object for all who ask until it changes, and is encoded once. `joined`: a stream sends what there is
    to say at a moment as one message, whose only field repeats the answers. `watched`: each screen of an office's
    desks holds one open. `polled`: a clock asks, not a person, so
    that a log names only the calls that fail. `counted` tells how many answers a question wants, one for each and in
    order. `unsigned` is the reason why no officer signs it; what `administers` is signed by an administrator of keys.
    `former`: one that was expelled may call it, too.
    """

    name: str
    question: type[Q]
    answer: type[A]
    _: KW_ONLY
    sides: frozenset[Side] = AGENCY
    kinds: frozenset[str] | None = None
    floor_seconds: float | None = READS
    unsigned: str = ""
    administers: bool = False
    stream: bool = False
    joined: bool = False
    shared: bool = False
    watched: bool = False
    polled: bool = False
    former: bool = False
    counted: Callable[[Q], int] | None = None

    @property
    def service(self) -> str:
        return f"{PACKAGE}.{self.name.partition('/')[0]}"

    @property
    def signed(self) -> OwnKey:
        if self.administers:
            return OwnKey.ADMINISTRATOR
        return OwnKey.NEVER if self.unsigned else OwnKey.ALWAYS

    @cached_property
    def has_act(self) -> bool:
        return ACT in self.request.DESCRIPTOR.fields_by_name

    @cached_property
    def path(self) -> str:
        return f"/{PACKAGE}.{self.name}"

    @cached_property
    def method(self) -> Any:
        """Its descriptor in the proto files; the generated module is imported on first use."""
        service, _, method = self.name.partition("/")
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in service)
        module = import_module(f"{PACKAGE}{words.replace('_', '.', 1)}_pb2")
        found: Any = module.DESCRIPTOR.services_by_name[service].methods_by_name[method]
        return found

    @cached_property
    def request(self) -> type[Message]:
        return GetMessageClass(self.method.input_type)

    @cached_property
    def response(self) -> type[Message]:
        return GetMessageClass(self.method.output_type)

    def encode_question(self, act: Act | None, question: Q) -> Message:
        made: Message = _convert(self._codecs[0].out, question)
        if act is not None:
            getattr(made, ACT).CopyFrom(_convert(self._act.out, act))
        return made

    def decode_question(self, request: Message) -> tuple[Act | None, Q]:
        """Returns who asks, None for an RPC that does not say, and the question; raises as `pb.pair`."""
        if not self.has_act:
            return None, _convert(self._codecs[0].back, request)
        if not request.HasField(ACT):
            raise MalformedError("FIELD_MISSING", f"expected {ACT!r}", field=ACT)
        return _convert(self._act.back, getattr(request, ACT)), _convert(self._codecs[0].back, request)

    def encode_answer(self, answer: A) -> bytes:
        made: Message = _convert(self._codecs[1].out, (answer,) if self.joined else answer)
        return made.SerializeToString()

    def decode_answers(self, response: bytes, *, question: Q) -> Sequence[A]:
        """The answers that one message of a stream holds; raises as `decode_answer`."""
        found: Any = self.decode_answer(response, question=question)
        return cast("Sequence[A]", found if self.joined else (found,))

    def decode_answer(self, response: bytes, *, question: Q) -> A:
        """The answer to a question. Raises MalformedError ANSWER_FORM, ANSWER_COUNT, and as `pb.pair`."""
        try:
            message = self.response.FromString(response)
        except DecodeError as error:
            raise MalformedError("ANSWER_FORM", f"expected an answer of {self.name} by the other side") from error
        answer: A = _convert(self._codecs[1].back, message)
        if self.counted is not None:
            expected, got = self.counted(question), len(answer)  # type: ignore[arg-type]  # counted answers are tuples
            if got != expected:
                raise MalformedError("ANSWER_COUNT", f"expected {expected} answers, got {got}")
        return answer

    @cached_property
    def _codecs(self) -> tuple[Codec, Codec]:
        answer: Any = tuple[self.answer, ...] if self.joined else self.answer  # type: ignore[name-defined]  # of its type
        return pair(self.question, self.request), pair(answer, self.response)

    @cached_property
    def _act(self) -> Codec:
        act: Any = self.request.DESCRIPTOR.fields_by_name[ACT]
        return pair(Act, GetMessageClass(act.message_type))


def _convert(step: Step | None, value: Any) -> Any:
    return value if step is None else step(value)
