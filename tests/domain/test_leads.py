"""Tests of leads: what crosses, in one form of bytes, and what a rule keeps back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from federation.domain.leads import Lead, LeadAnswer, verify_answer, verify_lead
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import MessageId

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LEAD = Lead(
    offence="盗窃", county="330822", place="示例镇示例路9号", time=NOW - timedelta(days=1), found=NOW,
    facts="一辆蓝色货车内发现成捆的电缆", measure="已扣押电缆", notice="ab" * 32, papers=frozenset({"cd" * 32}),
)  # fmt: skip
ANSWER = LeadAnswer(
    lead_id=MessageId("0193587f-0a00-7000-8000-000000000000"), accepted=False, reason="属铁路公安管辖", time=NOW
)
NUMBER = "361123219003070011"


@pytest.mark.parametrize("item", [LEAD, replace(LEAD, measure=None, papers=frozenset()), ANSWER])
def test_item_is_the_one_form_of_its_bytes(item):
    """What is decoded is equal, and nothing of it is in its repr."""
    assert decode(type(item), encode(item)) == item
    assert "电缆" not in repr(item)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"offence": ""}, "offence"),
        ({"county": "33082"}, "county"),
        ({"facts": ""}, "facts"),
        ({"facts": "字" * 2001}, "facts"),
        ({"facts": "two\nlines"}, "facts"),
        ({"measure": ""}, "measure"),
        ({"notice": "AB" * 32}, "notice"),
        ({"papers": frozenset({"x"})}, "papers"),
        ({"papers": frozenset(f"{number:064x}" for number in range(9))}, "papers"),
    ],
)
def test_lead_of_another_form_is_refused_by_its_field(changes, field):
    """A hostile peer's lead names the field and never its content."""
    with pytest.raises(MalformedError) as caught:
        decode(Lead, encode(replace(LEAD, **changes)))
    assert caught.value.facts["field"] == field


def test_lead_has_no_room_for_a_source():
    """What nobody may send is no field: an unknown name is refused as a whole."""
    spelled = encode(LEAD).replace(b'"time":', b'"source":"an informer","time":')
    with pytest.raises(MalformedError, match="JSON_UNKNOWN_NAME"):
        decode(Lead, spelled)


@pytest.mark.parametrize("name", ["offence", "place", "facts", "measure"])
@pytest.mark.parametrize("spelled", [NUMBER, "361123 21900307 0011", "３６１１２３２１９００３０７００１１"])
def test_no_text_of_a_lead_names_a_person_by_number(name, spelled):
    """However it is written; the error does not repeat it."""
    with pytest.raises(RuleError, match="LEAD_NAMES_PERSON") as caught:
        verify_lead(replace(LEAD, **{name: f"见{spelled}的供述"}), now=NOW)
    assert "0011" not in str(caught.value)


def test_lead_was_there_before_it_was_found_and_found_before_it_is_handed_over():
    """A find in the future would stretch the time."""
    assert verify_lead(LEAD, now=NOW) is LEAD
    for changes in ({"time": NOW + timedelta(seconds=1)}, {"found": NOW + timedelta(seconds=1)}):
        with pytest.raises(RuleError, match="LEAD_TIME"):
            verify_lead(replace(LEAD, **changes), now=NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reason": None}, "LEAD_REASON"),
        ({"accepted": True}, "LEAD_REASON"),
        ({"reason": f"已由{NUMBER}交代"}, "LEAD_NAMES_PERSON"),
    ],
)
def test_who_declines_says_why_and_names_nobody(changes, reason):
    """A reason where it is declined, and only there."""
    assert verify_answer(ANSWER) is ANSWER
    assert verify_answer(replace(ANSWER, accepted=True, reason=None)).accepted
    with pytest.raises(RuleError, match=reason):
        verify_answer(replace(ANSWER, **changes))
