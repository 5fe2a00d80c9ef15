"""The names and media types of the kinds: what other provinces read, so that no change of ours may touch them."""

from __future__ import annotations

from federation.node.features import KINDS

TYPES = {
    "permit.sync": "permit-item",
    "permit.recognition": "recognition-item",
    "lookup.case": "lookup-case",
    "lookup.search": "lookup-search",
    "lookup.answer": "lookup-answer",
    "lookup.fetch": "lookup-fetch",
    "lookup.release": "lookup-release",
    "lookup.refusal": "lookup-refusal",
    "lookup.second": "lookup-second",
    "subject.request": "subject-request",
    "subject.answer": "subject-answer",
    "correction.request": "correction-request",
    "correction.answer": "correction-answer",
    "correction.notice": "correction-notice",
    "police.lead": "police-lead",
    "police.lead.answer": "police-lead-answer",
    "case.entry": "case-entry",
    "alert.entry": "alert-entry",
    "alert.disclosure": "alert-entry",
    "case.disclosure": "case-entry",
    "case.trace": "case-trace",
    "case.progress": "case-progress",
    "corrections.today": "corrections-today",
    "corrections.today.answer": "corrections-today-answer",
    "officer.key": "officer-key",
    "erasure.order": "erasure-order",
    "erasure.receipt": "erasure-receipt",
}


def test_each_kind_has_its_own_media_type_for_ever() -> None:
    """A node of another version takes a body of just this type; a new kind gets a line here. A disclosure is an entry again."""
    found = {name: kind.media_type for name, kind in KINDS.items()}

    assert found == {name: f"application/vnd.bridgehead.{type_}.v1+json" for name, type_ in TYPES.items()}
