"""Sample values of what the intake desk answers."""

from datetime import UTC, datetime

from federation.domain.intake import IntakeStatus
from federation.domain.lookups import Urgency
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency.intake import IntakeAnswer, IntakeLine, IntakePage, IntakeRelease, Reminder
from tests.wire.answers import ACT, ALLOWED, REFUSED

INBOX = IntakePage(
    read_time=datetime(2026, 11, 30, 8, 5, tzinfo=UTC),
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
            reminded=datetime(2026, 11, 30, 8, 5, tzinfo=UTC),
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
INTAKE_RELEASED = IntakeRelease(
    decision=ALLOWED,
    request_id=ACT.request_id,
    status=IntakeStatus.ANSWERED,
    hit=False,
    fields=frozenset({"citizen_number"}),
)
INTAKE_REFUSED = IntakeAnswer(decision=REFUSED, request_id=ACT.request_id)
REMINDERS = (
    Reminder(
        node=NodeName("zhejiang"),
        step="lookup.search",
        time=datetime(2026, 11, 30, 8, 5, tzinfo=UTC),
        due=datetime(2026, 11, 30, 8, 10, tzinfo=UTC),
    ),
)
