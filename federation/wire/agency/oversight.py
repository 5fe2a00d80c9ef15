"""The watch over look-ups. Signatures are base64 of 64 bytes, Ed25519, by the acting officer's registered key."""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

from federation.domain.oversight import (
    BreakGlass,
    Digest,
    Finding,
    FlagKind,
    RaisedFlag,
    SampleFinding,
    SampleItem,
    StoredReading,
)
from federation.wire.pb import declare
from federation.wire.rpc import INSPECTORS, POLICE, WRITES, A, PageQuery, Q, Rpc


class CountersignQuestion(Struct, frozen=True, kw_only=True):
    """A case that is to reach more persons (`countersign_bytes`) or, `bulk`, more look-ups (`bulk_bytes`)."""

    case_id: str
    signature: str
    bulk: bool = False


class Countersigned(Struct, frozen=True, kw_only=True):
    case_id: str
    signers: tuple[str, ...]
    complete: bool


class NoticeState(Struct, frozen=True, kw_only=True):
    notice: BreakGlass
    overdue: bool


class NoticePage(Struct, frozen=True, kw_only=True):
    notices: tuple[NoticeState, ...] = ()
    next_page_token: str = ""


class ReviewQuestion(Struct, frozen=True, kw_only=True):
    """A leader's review of a case without a letter; the signature is over `review_bytes` of the same."""

    case_id: str
    finding: Finding
    signature: str
    words: str = ""


class FlagQuery(PageQuery, frozen=True, kw_only=True):
    officer: str | None = None
    kind: FlagKind | None = None
    case_id: str | None = None


class FlagPage(Struct, frozen=True, kw_only=True):
    flags: tuple[RaisedFlag, ...] = ()
    next_page_token: str = ""


class DigestQuestion(Struct, frozen=True, kw_only=True):
    """An officer and a day; None: one's own, today. The signature is a leader's, who reads somebody else's."""

    officer: str | None = None
    day: date | None = None
    signature: str | None = None


class SampleQuery(PageQuery, frozen=True, kw_only=True):
    with_reviewed: bool = False


class SamplePage(Struct, frozen=True, kw_only=True):
    items: tuple[SampleItem, ...] = ()
    next_page_token: str = ""


class SampleReviewQuestion(Struct, frozen=True, kw_only=True):
    """A reviewer's finding on a look-up; the signature is over `sample_review_bytes` of the same."""

    lookup_id: str
    finding: SampleFinding
    words: str
    signature: str


class ReadingQuery(PageQuery, frozen=True, kw_only=True):
    """A list of readings; None narrows nothing. The signature is a leader's, over the case's `readings_bytes`."""

    case_id: str | None = None
    officer: str | None = None
    signature: str | None = None
    mandate: bytes = b""


class ReadingPage(Struct, frozen=True, kw_only=True):
    readings: tuple[StoredReading, ...] = ()
    next_page_token: str = ""


class News(Struct, frozen=True, kw_only=True):
    """A notice or any other flag; `token` is its place in the stream, empty for a notice that was open before."""

    token: str
    notice: NoticeState | None = None
    flag: RaisedFlag | None = None


declare(NoticeState, flat={"notice": {}})


def _signed(name: str, question: type[Q], answer: type[A]) -> Rpc[Q, A]:
    name = f"OversightService/{name}"
    return Rpc(name, question, answer, kinds=POLICE, floor_seconds=WRITES)


COUNTERSIGN_CASE: Final = _signed("CountersignCase", CountersignQuestion, Countersigned)
LIST_NOTICES: Final = Rpc("OversightService/ListNotices", PageQuery, NoticePage, kinds=POLICE)
REVIEW_BREAK_GLASS: Final = _signed("ReviewBreakGlass", ReviewQuestion, NoticeState)
LIST_FLAGS: Final = Rpc("OversightService/ListFlags", FlagQuery, FlagPage, kinds=POLICE)
GET_DAILY_DIGEST: Final = Rpc("OversightService/GetDailyDigest", DigestQuestion, Digest, kinds=POLICE)
"""A leader who reads somebody else's day signs."""
LIST_SAMPLE: Final = Rpc("OversightService/ListSample", SampleQuery, SamplePage, kinds=POLICE)
RECORD_REVIEW: Final = _signed("RecordReview", SampleReviewQuestion, SampleItem)
LIST_READINGS: Final = Rpc("OversightService/ListReadings", ReadingQuery, ReadingPage, kinds=POLICE | INSPECTORS)
"""The leader of a case signs; an office of inspection shows its mandate."""
WATCH_NOTICES: Final = Rpc("OversightService/WatchNotices", str, News, kinds=POLICE, floor_seconds=None, stream=True)
"""The question is the token to go on behind, empty for a first call."""
