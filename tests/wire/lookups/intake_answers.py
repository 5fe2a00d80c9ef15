"""The functions that the intake servicer is handed in these tests, and a value of each kind."""

from datetime import UTC, datetime

from federation.domain.lookup.asking import Urgency
from federation.domain.lookup.intake import IntakeStatus
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.lookups.intake.service import IntakeFunctions
from federation.wire.lookups.intake.values import IntakeAnswer, IntakeLine, IntakePage, SecondRequest
from tests.wire.answers import ACT, ALLOWED, REFUSED, Functions

INBOX = IntakePage(
    now=datetime(2026, 11, 30, 8, 5, tzinfo=UTC),
    lines=(
        IntakeLine(
            request_id=ACT.request_id,
            status=IntakeStatus.WAITING,
            step="lookup.search",
            asker=parse_agency_id("zhejiang/330822/police"),
            officer="officer-7",
            case_id="A3308-0042",
            purpose="lookup.missing_person",
            urgency=Urgency.URGENT,
            person="361123************",
            fields=frozenset(),
            created=datetime(2026, 11, 30, 8, tzinfo=UTC),
            due=datetime(2026, 11, 30, 8, 10, tzinfo=UTC),
            second=datetime(2026, 11, 30, 8, 5, tzinfo=UTC),
            escalated=datetime(2026, 11, 30, 8, 7, 30, tzinfo=UTC),
        ),
        IntakeLine(
            request_id=ACT.request_id,
            status=IntakeStatus.ANSWERED,
            step="lookup.fetch",
            asker=parse_agency_id("zhejiang/330822/police"),
            officer="officer-7",
            case_id="A3308-0042",
            purpose="lookup.criminal_investigation",
            urgency=Urgency.ROUTINE,
            person="urn:permit:361123:2026:******",
            fields=frozenset({"citizen_number", "residence_address"}),
            created=datetime(2026, 11, 30, 7, tzinfo=UTC),
            due=datetime(2026, 11, 30, 8, tzinfo=UTC),
            answered_by="officer-1",
            came_late=True,
        ),
    ),
    next_page_token="2",
)
INTAKE_RELEASED = IntakeAnswer(
    decision=ALLOWED,
    request_id=ACT.request_id,
    status=IntakeStatus.ANSWERED,
    hit=False,
    fields=frozenset({"citizen_number"}),
)
INTAKE_REFUSED = IntakeAnswer(decision=REFUSED, request_id=ACT.request_id)
SECONDS = (
    SecondRequest(
        node=NodeName("zhejiang"),
        step="lookup.search",
        time=datetime(2026, 11, 30, 8, 5, tzinfo=UTC),
        due=datetime(2026, 11, 30, 8, 10, tzinfo=UTC),
    ),
)


def intake_functions(functions: Functions) -> IntakeFunctions:
    """Functions that note what they are called with."""

    async def list_(caller, act, query):
        functions.note(caller, act, query)
        return INBOX

    async def release(caller, act, question):
        functions.note(caller, act, question)
        return INTAKE_RELEASED

    async def refuse(caller, act, question):
        functions.note(caller, act, question)
        return INTAKE_REFUSED

    async def second(caller, act, lookup_id):
        functions.note(caller, act, lookup_id)
        return SECONDS

    return IntakeFunctions(list=list_, release=release, refuse=refuse, second=second)
