"""Sample values of what the watch over look-ups answers."""

from datetime import UTC, date, datetime

from federation.domain.lookups import Outcome
from federation.domain.oversight import (
    BreakGlass,
    Digest,
    DigestLine,
    Finding,
    FlagKind,
    RaisedFlag,
    ReadingKind,
    SampleFinding,
    SampleItem,
    SampleReview,
    StoredReading,
)
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency.oversight import (
    Countersigned,
    FlagPage,
    News,
    NoticePage,
    NoticeState,
    ReadingPage,
    SamplePage,
)

LOOKUP_ID = "6f0c4a1e-1f3b-4a55-9a38-0c8f7f6b1d2a"
COUNTERSIGNED = Countersigned(case_id="A3611-0042", signers=("leader-1", "officer-9"), complete=True)
NOTICE = NoticeState(
    notice=BreakGlass(
        case_id="BREAK-GLASS-2026-001",
        agency=parse_agency_id("jiangxi/361123/police"),
        officer="officer-7",
        leader="leader-1",
        opened=datetime(2026, 11, 23, 18, tzinfo=UTC),
        due=date(2026, 11, 25),
        finding=Finding.UNJUSTIFIED,
        words="无警情记录",
    ),
    overdue=True,
)
NOTICES = NoticePage(notices=(NOTICE,), next_page_token="1")
FLAGS = FlagPage(
    flags=tuple(
        RaisedFlag(
            time=datetime(2026, 11, 23, 18, tzinfo=UTC),
            agency=parse_agency_id("zhejiang/330822/police"),
            kind=kind,
            officer="officer-7",
            lookup_id="l-1",
            case_id="A-42",
            sentence_zh="请核查",
            sentence_en="look",
        )
        for kind in FlagKind
    ),
    next_page_token="7",
)
DIGEST_OF_DAY = Digest(
    officer="officer-7",
    day=date(2026, 11, 23),
    lines=(
        DigestLine(
            lookup_id="l-1",
            case_id="A-42",
            time=datetime(2026, 11, 23, 6, tzinfo=UTC),
            person="361123**********11",
            outcomes={NodeName("zhejiang"): Outcome.HIT, NodeName("fujian"): None},
        ),
    ),
)


SAMPLED = SampleItem(
    lookup_id=LOOKUP_ID,
    case_id="A-42",
    officer="officer-7",
    time=datetime(2026, 11, 23, 6, tzinfo=UTC),
    purpose="lookup.identity_check",
    person="361123**********11",
    due=date(2026, 11, 30),
    overdue=True,
)
REVIEWED = replace(
    SAMPLED,
    overdue=False,
    review=SampleReview(
        lookup_id=LOOKUP_ID,
        reviewer="officer-9",
        time=datetime(2026, 11, 24, 6, tzinfo=UTC),
        finding=SampleFinding.DOUBTFUL,
        words="协作函上没有此人",
    ),
)
SAMPLE = SamplePage(items=(SAMPLED, REVIEWED), next_page_token=LOOKUP_ID)
READINGS = ReadingPage(
    readings=(
        StoredReading(
            time=datetime(2026, 11, 24, 6, tzinfo=UTC),
            agency=parse_agency_id("jiangxi/361123/police"),
            officer="officer-7",
            kind=ReadingKind.RELEASED,
            lookup_id=LOOKUP_ID,
            case_id="A3611-0042",
            node="zhejiang",
            fields=frozenset({"status", "holder_name"}),
        ),
        *(
            StoredReading(
                time=datetime(2026, 11, 23, 6, tzinfo=UTC),
                agency=parse_agency_id("jiangxi/361123/police"),
                officer="leader-1",
                kind=kind,
                about="officer-7 2026-11-23",
            )
            for kind in ReadingKind
        ),
    ),
    next_page_token="2026-11-23T06:00:00.000Z/ab",
)
NEWS = (News(token="", notice=NOTICE), *(News(token=str(at), flag=one) for at, one in enumerate(FLAGS.flags, 8)))
