"""The kinds of message of a look-up, and the media type of the body of a case."""

from __future__ import annotations

CASE_BODY = "application/vnd.bridgehead.lookup-case.v1+json"
CASE_KIND, SEARCH_KIND, ANSWER_KIND = "lookup.case", "lookup.search", "lookup.answer"
FETCH_KIND, RELEASE_KIND = "lookup.fetch", "lookup.release"
REFUSAL_KIND, SECOND_KIND = "lookup.refusal", "lookup.second"
