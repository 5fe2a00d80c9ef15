"""What a leader signs at their own desk, with their own key: the node is given the signature only."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from federation.cli.lookup.officer_key import load_officer_key
from federation.domain.lookup.break_glass import Finding, review_bytes
from federation.domain.lookup.case import parse_case_id
from federation.domain.lookup.digest import digest_bytes
from federation.domain.lookup.misuse import bulk_bytes, countersign_bytes
from federation.domain.lookup.reading import readings_bytes
from federation.domain.lookup.review import SampleFinding, sample_review_bytes, verify_words
from federation.protocol.ids import AgencyId, parse_message_id
from federation.protocol.tlog.lines import format_base64
from federation.wire.lookups.oversight.values import (
    CountersignQuestion,
    DigestQuestion,
    ReadingQuery,
    ReviewQuestion,
    SampleReviewQuestion,
)


def sign_countersign(key: Path, agency: AgencyId, case_id: str, *, bulk: bool) -> CountersignQuestion:
    """The signature that lets a case reach more persons or, in bulk, more look-ups.

    Raises:
        BridgeheadError: as `load_officer_key` and `parse_case_id`.
    """
    signed = (bulk_bytes if bulk else countersign_bytes)(parse_case_id(case_id), agency)
    return CountersignQuestion(case_id=case_id, signature=_sign(key, signed), bulk=bulk)


def sign_review(key: Path, agency: AgencyId, case_id: str, *, finding: Finding, words: str) -> ReviewQuestion:
    """The signed review of a case without a letter.

    Raises:
        MalformedError: REVIEW_WORDS; BridgeheadError: as `load_officer_key` and `parse_case_id`.
    """
    text = verify_words(words)
    signed = review_bytes(parse_case_id(case_id), agency, finding=finding, words=text)
    return ReviewQuestion(case_id=case_id, finding=finding, words=text, signature=_sign(key, signed))


def sign_digest(key: Path, agency: AgencyId, officer: str, *, day: date, reader: str) -> DigestQuestion:
    """The signed question for somebody else's day.

    Raises:
        BridgeheadError: as `load_officer_key`.
    """
    signed = digest_bytes(agency, officer, day=day, reader=reader)
    return DigestQuestion(officer=officer, day=day, signature=_sign(key, signed))


def sign_readings(key: Path, agency: AgencyId, query: ReadingQuery, *, reader: str) -> ReadingQuery:
    """The same question with the signature of the case's leader.

    Raises:
        BridgeheadError: as `load_officer_key` and `parse_case_id`.
    """
    signed = readings_bytes(agency, parse_case_id(query.case_id or ""), reader=reader)
    return replace(query, signature=_sign(key, signed))


def sign_sample_review(
    key: Path, agency: AgencyId, lookup_id: str, *, finding: SampleFinding, words: str
) -> SampleReviewQuestion:
    """The signed review of a look-up of the sample.

    Raises:
        MalformedError: REVIEW_WORDS, MESSAGE_ID; BridgeheadError: as `load_officer_key`.
    """
    text, known = verify_words(words), parse_message_id(lookup_id)
    signed = sample_review_bytes(agency, known, finding=finding, words=text)
    return SampleReviewQuestion(lookup_id=known, finding=finding, words=text, signature=_sign(key, signed))


def _sign(key: Path, signed: bytes) -> str:
    return format_base64(load_officer_key(key).sign(signed))
