"""The RPCs between provinces: to take messages, to compare what both logged, to fetch the agreement."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Final

from msgspec import Struct

from federation.domain.documents import Chunk
from federation.protocol.body import Body, PartialBody
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Pair
from federation.protocol.receipt import Answer, Submission
from federation.protocol.trust.agreement import AgreementFiles
from federation.wire.agency.documents import DocumentPlace
from federation.wire.client import Client, RenewedChannel
from federation.wire.pb import Codec, declare
from federation.wire.rpc import BOTH, PEER, WRITES, Nothing, Rpc, TlsFiles

PEER_SECONDS = 10.0

declare(Body, names={"type": "media_type"})
declare(PartialBody, names={"type": "media_type"})


def _root(root: bytes) -> bytes:
    if len(root) != 32:
        raise MalformedError("DIGEST_ROOT", f"expected a root of 32 bytes, got {len(root)}")
    return root


class RangeQuestion(Struct, frozen=True, kw_only=True):
    pair: Pair
    from_seq: int
    to_seq: int


class PairDigest(Struct, frozen=True, kw_only=True):
    """A range of one ordered pair as a node logged it; `highest` is 0 when nothing was."""

    count: int
    root: Annotated[bytes, Codec(None, _root)]
    highest: int


BETWEEN_NODES: Final = "a node calls, and each message is signed by its province"
SUBMIT: Final = Rpc(
    "ExchangeService/Submit",
    tuple[Submission, ...],
    tuple[Answer, ...],
    sides=PEER,
    floor_seconds=WRITES,
    counted=len,
    unsigned=BETWEEN_NODES,
)
DIGEST_RANGE: Final = Rpc(
    "ReconciliationService/DigestRange", RangeQuestion, PairDigest, sides=PEER, unsigned=BETWEEN_NODES
)


class AgreementQuery(Struct, frozen=True, kw_only=True):
    """The version that the caller has, 0 for none, and the one that it wants, 0 for the newest."""

    known_version: int = 0
    version: int = 0


FETCH_AGREEMENT: Final = Rpc(
    "AgreementService/FetchAgreement",
    AgreementQuery,
    AgreementFiles,
    sides=BOTH,
    shared=True,
    polled=True,
    former=True,
    unsigned="what the provinces signed, for all of them",
)
"""`targets` and `files` of the answer are empty when the newest is wanted, and known; who was expelled is handed the
version that did it, whatever it asks for."""


class NodeTime(Struct, frozen=True, kw_only=True):
    time: datetime


TELL_TIME: Final = Rpc(
    "NodeService/TellTime", Nothing, NodeTime, sides=PEER, polled=True, unsigned="a node asks, for the time of a clock"
)


FETCH_DOCUMENT: Final = Rpc(
    "DocumentService/FetchDocument",
    DocumentPlace,
    Chunk,
    sides=PEER,
    floor_seconds=None,
    stream=True,
    unsigned="a node asks, for what an entry handed to its province",
)


class PeerClient(Client):
    def __init__(self, address: str, *, tls: TlsFiles, authority: Callable[[], str], server_name: str | None) -> None:
        channel = RenewedChannel(address, tls=tls, authority=authority, server_name=server_name)
        super().__init__(channel, timeout_seconds=PEER_SECONDS)

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> Sequence[Answer]:
        """Sends submissions and returns one answer for each, in order. Raises BridgeheadError: as `call`."""
        return await self.call(SUBMIT, None, tuple(submissions), timeout_seconds=timeout_seconds)

    async def tell_time(self, *, timeout_seconds: float) -> datetime:
        """Asks for the peer's time. Raises BridgeheadError: as `call`."""
        return (await self.call(TELL_TIME, None, Nothing(), timeout_seconds=timeout_seconds)).time

    async def fetch_agreement(
        self, known_version: int = 0, *, version: int = 0, timeout_seconds: float
    ) -> AgreementFiles:
        """Reads a version that the peer holds, its newest for 0, unverified.

        `targets` are empty when `known_version` is the newest, and that is wanted.
        """
        asked = AgreementQuery(known_version=known_version, version=version)
        return await self.call(FETCH_AGREEMENT, None, asked, timeout_seconds=timeout_seconds)

    def fetch_document(self, place: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        """Streams a document of an entry of the peer's from a chunk on, unverified; raises as `watch`."""
        return self.watch(FETCH_DOCUMENT, None, place)
