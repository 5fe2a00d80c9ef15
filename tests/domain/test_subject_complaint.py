"""本人投诉: a complaint is answered with reasons, told with its remedies, and looked at again above."""

import pytest

from tests.domain.case_builder import CaseBuilder, digest, rules_of

RULES = rules_of("subject-complaint")
DESKS = {
    "counter": "anhui/341022/service-hall",
    "office": "jiangxi/361123/police",
    "superior": "jiangxi/361102/police",
}


@pytest.fixture
def complaint():
    """A person of Xiuning complains of a look-up by the police of Yushan, who take part."""
    case = CaseBuilder(RULES, DESKS)
    case.does("counter", "open", procedure="subject-complaint", agreement=1, role="counter", division="341022")
    case.does("counter", "add_party", party="p1", side="A", role="applicant", county="341022", items=("party",))
    case.does("counter", "add_claim", claim="c1", party="p1", kind="unlawful", items=("claim",))
    case.does("counter", "invite", agency=DESKS["office"], role="office")
    case.does("office", "join")
    case.does("counter", "move", to="answering")
    return case


def due(case, clock):
    return next(
        each.deadline.last_day.isoformat() for each in case.case.clocks.values() if each.deadline.clock_id == clock
    )


def test_complaint_is_answered_by_the_office_itself_with_its_reasons_within_thirty_days(complaint):
    """The counter cannot answer for it; a no has its reason, and ends only once the remedies were told."""
    assert due(complaint, "subject.answer") == "2026-12-23"
    complaint.cannot("counter", "dispute_claim", "ROLE_NOT_HERE", claim="c1", why="有案件")
    complaint.cannot("counter", "move", "CONDITION_MISSING", "claims_answered", to="told")

    complaint.does("office", "dispute_claim", claim="c1", why="依协作函办理，案号已附")
    complaint.does("office", "move", to="told")
    complaint.cannot("counter", "close", "CONDITION_MISSING", "route_signposted", outcome="answered")
    complaint.cannot("counter", "close", "CONDITION_MISSING", "claims_verified", outcome="upheld")
    complaint.does("counter", "signpost", remedy="review", body="上级公安机关、人民法院", last_day="2027-01-22")
    complaint.does("counter", "close", outcome="answered")


def test_complaint_that_is_true_is_upheld(complaint):
    """What the office finds true needs no further body."""
    complaint.does("office", "verify_claim", claim="c1")
    complaint.does("office", "move", to="told")
    complaint.does("counter", "close", outcome="upheld")


def test_review_is_above_and_ends_with_the_court_named(complaint):
    """The office complained of does not look at itself again; the office above has thirty days of its own."""
    complaint.does("office", "dispute_claim", claim="c1", why="依法办理")
    complaint.does("office", "move", to="told")
    complaint.cannot("counter", "move", "CONDITION_MISSING", "route_signposted", to="review")
    complaint.does("counter", "signpost", remedy="review", body="上级公安机关")
    complaint.does("counter", "invite", agency=DESKS["superior"], role="superior")
    complaint.does("superior", "join")
    complaint.does("counter", "move", to="review")
    assert due(complaint, "petition.review") == "2026-12-23"
    complaint.cannot("office", "file_superior_decision", "ROLE_NOT_HERE", manifest=digest("decision"))
    complaint.does("superior", "file_superior_decision", manifest=digest("decision"), items=("document",))
    complaint.cannot("counter", "close", "CONDITION_MISSING", "route_signposted", outcome="reviewed")
    complaint.does("counter", "signpost", remedy="court", body="人民法院")
    complaint.does("counter", "close", outcome="reviewed")
