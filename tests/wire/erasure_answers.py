"""Sample values of what is answered about reading a look-up again and erasing."""

from datetime import UTC, datetime

from federation.domain.erasure import Watermark
from federation.domain.lookups import Outcome
from federation.protocol.ids import MessageId, NodeName, parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy.book import Decision, Grounds
from federation.wire.agency.erasure import (
    ErasureAnswer,
    ErasureLine,
    ErasurePage,
    ErasureState,
    RetentionRound,
    SentMessage,
    SentPage,
)
from federation.wire.agency.lookups import LookupResult, ReadStep, TracedReading
from federation.wire.rpc import ruling_of

LOOKUP_ID = "6f0c4a1e-1f3b-4a55-9a38-0c8f7f6b1d2a"
MESSAGE_ID = MessageId("01a2076b-4400-7eef-826a-f437f3342294")
MARK = Watermark(
    agency=parse_agency_id("jiangxi/361123/police"),
    officer="officer-7",
    time=datetime(2026, 11, 30, 8, 0, 0, 5000, tzinfo=UTC),
    code="7Q2M-X9TR-04KD",
)
ALLOWED = ruling_of(
    Decision(
        verdict=Verdict.ALLOWED,
        policies=("reread-own-release",),
        fields=frozenset(),
        reason=Grounds.PERMITTED,
        title_zh="再次查看",
        title_en="Reads again",
    ),
    agreement_version=3,
)
RESULT = LookupResult(
    lookup_id=LOOKUP_ID,
    case_id="A3611-0042",
    steps=(
        ReadStep(
            node=NodeName("zhejiang"),
            step="lookup.search",
            asked=datetime(2026, 11, 30, 7, tzinfo=UTC),
            outcome=Outcome.HIT,
            handle="h4nDle_-" * 4,
            expires=datetime(2026, 12, 1, 7, tzinfo=UTC),
        ),
        ReadStep(
            node=NodeName("zhejiang"),
            step="lookup.fetch",
            asked=datetime(2026, 11, 30, 7, 1, tzinfo=UTC),
            outcome=Outcome.HIT,
            expires=datetime(2026, 12, 1, 7, tzinfo=UTC),
            decision=ALLOWED,
            fields={"holder_name": "测试甲"},
            watermark=MARK,
        ),
        ReadStep(
            node=NodeName("anhui"),
            step="lookup.search",
            asked=datetime(2026, 11, 30, 7, tzinfo=UTC),
            outcome=Outcome.REFUSED,
            erased=datetime(2026, 12, 1, 8, tzinfo=UTC),
            policies=("deny-lookup-no-case",),
            title_zh="没有案件",
            title_en="No case",
        ),
        ReadStep(node=NodeName("fujian"), step="lookup.search", asked=datetime(2026, 11, 30, 7, tzinfo=UTC)),
    ),
)
TRACED = TracedReading(
    watermark=MARK,
    lookup_id=LOOKUP_ID,
    case_id="A3611-0042",
    node=NodeName("zhejiang"),
    fields=frozenset({"holder_name"}),
    fetch_digest="ab" * 32,
)
WAITING = ErasureLine(
    message_id=MESSAGE_ID,
    message_digest="cd" * 32,
    kind="permit.sync",
    recipient=NodeName("zhejiang"),
    state=ErasureState.OVERDUE,
    ordered=datetime(2026, 11, 30, 7, tzinfo=UTC),
    due=datetime(2026, 12, 3, 7, tzinfo=UTC),
    order_digest="ef" * 32,
)
RECEIPTED = ErasureLine(
    message_id=MESSAGE_ID,
    message_digest="cd" * 32,
    kind="lookup.release",
    recipient=NodeName("fujian"),
    state=ErasureState.RECEIPTED,
    ordered=datetime(2026, 11, 30, 7, tzinfo=UTC),
    due=datetime(2026, 12, 3, 7, tzinfo=UTC),
    order_digest="ef" * 32,
    receipted=datetime(2026, 11, 30, 7, 2, tzinfo=UTC),
    was_held=True,
    leaf_index=0,
    leaf_digest="12" * 32,
)
ORDERED = ErasureAnswer(decision=ALLOWED, line=WAITING)
ERASURES = ErasurePage(lines=(WAITING, RECEIPTED), next_page_token="2")
ROUND = RetentionRound(releases=1, answers=2, handles=3, purged=4, questions=5, reports=6, corrections=7)
SENT = SentPage(
    messages=(
        SentMessage(
            message_id=MESSAGE_ID,
            seq=4,
            kind="permit.sync",
            created=datetime(2026, 11, 30, 7, tzinfo=UTC),
            is_held=True,
        ),
    ),
    next_after_seq=4,
)
