"""Permits to protobuf and back: equal values; absent stays absent; a word nobody knows is malformed."""

import pytest

from federation.domain.citizen_number import Sex
from federation.domain.permit import Ground, Paper, PermitStatus, RevokeReason
from federation.domain.recognition import Entitlement, RecognitionMode, RecognitionOutcome, RecognitionReason
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.form import replace
from federation.v1 import permit_pb2, permit_service_pb2
from federation.wire import convert_permit as convert
from federation.wire.values import ImportChunk, PermitAnswer, PermitImport, PermitPage, PermitQuery, RecognitionAnswer
from tests.wire.answers import ACT, ALLOWED, APPLICATION, BARE_ITEM, ITEM, RECOGNITION, REFUSED, URN


def _again(message):
    return type(message).FromString(message.SerializeToString())


@pytest.mark.parametrize(
    "application",
    [
        APPLICATION,
        replace(APPLICATION, work_division=None, guardian=True, sealed=False, papers=frozenset(Paper)),
        replace(APPLICATION, holder=replace(APPLICATION.holder, photo_digest=None, sex=Sex.FEMALE), papers=frozenset()),
        *(replace(APPLICATION, ground=ground) for ground in Ground),
    ],
)
def test_application_reads_back_equal(application):
    """Every field survives, and what is absent stays absent."""
    assert convert.application_from_pb(_again(convert.application_to_pb(application))) == application


@pytest.mark.parametrize("item", [ITEM, BARE_ITEM, *(replace(BARE_ITEM, status=status) for status in PermitStatus)])
def test_permit_reads_back_equal(item):
    """A field that was not released stays absent on the other side."""
    assert convert.permit_from_pb(_again(convert.permit_to_pb(item))) == item


@pytest.mark.parametrize("ruling", [ALLOWED, REFUSED], ids=["allowed", "refused"])
def test_ruling_reads_back_equal(ruling):
    """A refusal is a value: policies, titles and explanation survive."""
    assert convert.ruling_from_pb(_again(convert.ruling_to_pb(ruling))) == ruling


@pytest.mark.parametrize("permit", [None, ITEM], ids=["none", "permit"])
def test_permit_answer_reads_back_equal(permit):
    """The outcome of a step survives, with and without a permit."""
    answer = PermitAnswer(decision=ALLOWED, permit=permit)
    response = convert.permit_answer_to_pb(permit_service_pb2.EndorsePermitResponse, answer)
    assert convert.permit_answer_from_pb(_again(response)) == answer


@pytest.mark.parametrize("outcome", RecognitionOutcome)
@pytest.mark.parametrize("reason", [RecognitionReason.CARD_VALID, RecognitionReason.NO_TIME])
def test_recognition_reads_back_equal(outcome, reason):
    """Outcome, reason, services and days survive."""
    recognition = replace(RECOGNITION, outcome=outcome, reason=reason, services=tuple(Entitlement))
    answer = RecognitionAnswer(decision=ALLOWED, recognition=recognition, permit=BARE_ITEM)
    assert convert.recognition_answer_from_pb(_again(convert.recognition_answer_to_pb(answer))) == answer


def test_recognition_refused_by_policy_reads_back_equal():
    """Only the ruling is there."""
    answer = RecognitionAnswer(decision=REFUSED)
    assert convert.recognition_answer_from_pb(_again(convert.recognition_answer_to_pb(answer))) == answer


@pytest.mark.parametrize(
    ("word", "to_pb", "from_pb"),
    [(word, convert.mode_to_pb, convert.mode_from_pb) for word in RecognitionMode]
    + [(word, convert.revoke_reason_to_pb, convert.revoke_reason_from_pb) for word in RevokeReason],
)
def test_every_word_has_a_number(word, to_pb, from_pb):
    """A word of the domain has one number, and the number is not zero."""
    assert to_pb(word) != 0
    assert from_pb(to_pb(word)) is word


@pytest.mark.parametrize("number", [0, 99])
def test_number_without_a_word_is_malformed(number):
    """Zero is unset, and 99 is a newer version's."""
    with pytest.raises(MalformedError, match="ENUM_VALUE"):
        convert.mode_from_pb(number)


def test_unknown_reason_of_a_recognition_is_malformed():
    """A reason that this version does not know cannot be shown as one it does."""
    message = convert.recognition_to_pb(RECOGNITION)
    message.reason = "because"
    with pytest.raises(MalformedError, match="ENUM_VALUE"):
        convert.recognition_from_pb(message)


def test_day_that_is_in_no_calendar_is_malformed_by_field():
    """30 February has the right form and is no day."""
    message = convert.application_to_pb(APPLICATION)
    message.apply_date = "2226-02-30"
    with pytest.raises(MalformedError, match="DATE") as caught:
        convert.application_from_pb(message)
    assert caught.value.facts == {"field": "apply_date"}


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (7, 7), (1000, 1000), (1001, 1000)])
@pytest.mark.parametrize("status", [None, PermitStatus.VALID])
def test_query_reads_back_with_its_page_clamped(asked, given, status):
    """What is not asked for is None; 0 means the default page."""
    query = PermitQuery(residence_division=status and "330822", status=status, page_size=asked, page_token="t")
    assert convert.query_from_pb(_again(convert.query_to_pb(ACT, query))) == replace(query, page_size=given)


def test_page_reads_back_equal():
    """Permits, ruling and the next token survive."""
    page = PermitPage(decision=ALLOWED, permits=(ITEM, BARE_ITEM), next_page_token="next")
    assert convert.page_from_pb(_again(convert.page_to_pb(page))) == page


def test_chunk_reads_back_equal():
    """Rows survive, with and without a name and a day of issue."""
    rows = (
        PermitImport(application=APPLICATION),
        PermitImport(application=APPLICATION, issue_date=APPLICATION.accept_date, urn=URN),
    )
    chunk = ImportChunk(import_id=ACT.request_id, chunk=3, rows=rows)
    assert convert.chunk_from_pb(_again(convert.chunk_to_pb(ACT, chunk))) == chunk


def test_imported_rows_read_back_equal():
    """Each row says whether it is stored, refused or not to be judged."""
    response = _again(convert.imported_to_pb((URN, REFUSED, NotFoundError("ROW", "none"))))
    urn, ruling, error = convert.imported_from_pb(response, expected=3)
    assert (urn, ruling, type(error), error.reason) == (URN, REFUSED, NotFoundError, "ROW")


def test_imported_rows_of_another_number_or_without_outcome_are_refused():
    """One answer a row, and each says something."""
    with pytest.raises(MalformedError, match="ANSWER_COUNT"):
        convert.imported_from_pb(permit_service_pb2.ImportPermitsResponse(), expected=1)
    empty = permit_service_pb2.ImportPermitsResponse(rows=[permit_service_pb2.ImportedPermit()])
    with pytest.raises(MalformedError, match="ANSWER"):
        convert.imported_from_pb(empty, expected=1)


def test_unset_ruling_is_malformed():
    """A decision without a verdict is none."""
    with pytest.raises(MalformedError, match="ENUM_VALUE"):
        convert.ruling_from_pb(permit_pb2.Decision())
