"""The person's report: what is told at once, what waits, and that it crosses the border whole."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.lookups_case import CaseTerms, close_case, open_case
from federation.domain.reports import (
    MAX_REPORT_LINES,
    PURPOSES,
    Disclosure,
    SubjectRequest,
    build_report,
    decode_report,
    decode_subject_request,
    encode_report,
    merge_reports,
    purpose_words,
)
from federation.protocol.errors import MalformedError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import NodeName, Realm, parse_agency_id
from federation.protocol.leaf import Verdict

POLICIES = Path(__file__).parents[3] / "policies"
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
ZHEJIANG, ANHUI = NodeName("zhejiang"), NodeName("anhui")
YUSHAN = parse_agency_id("jiangxi/361123/police")
TERMS = CaseTerms(
    letter="玉公协〔2026〕1号",
    counties=frozenset({"330822"}),
    purposes=frozenset({"lookup.criminal_investigation"}),
    days=30,
    leader="leader-1",
)
CASE = open_case("YS-2026-0042", TERMS, opened_by=YUSHAN, now=NOW - timedelta(days=1))
CHECK = Disclosure(
    time=NOW - timedelta(hours=2),
    asker=YUSHAN,
    purpose="lookup.identity_check",
    function="F03",
    basis="居民身份证法第十五条",
    case_id="YS-2026-0042",
    step="lookup.fetch",
    verdict=Verdict.ALLOWED,
    fields=frozenset({"holder_name", "status"}),
    deferred_until=None,
)
CRIME = replace(
    CHECK, time=NOW - timedelta(hours=1), purpose="lookup.criminal_investigation", deferred_until=CASE.closes
)
CASES = {(YUSHAN, CASE.case_id): CASE.closes}


def test_build_report_of_a_running_investigation_withholds_it_and_says_until_when():
    """A running investigation is counted and dated; an identity check is told at once."""
    report = build_report([CRIME, CHECK], given_by=ZHEJIANG, now=NOW, ends=CASES)

    assert [line.purpose for line in report.lines] == ["lookup.identity_check"]
    assert report.withheld_count == 1
    assert report.next_shown == datetime(2026, 3, 31).date()


@pytest.mark.parametrize("end", ["closed early", "term over", "case unknown, term over"])
def test_build_report_after_the_case_shows_the_entry_by_itself(end):
    """What was withheld appears when the case ends, by being closed or by its term."""
    cases = {(YUSHAN, CASE.case_id): close_case(CASE, NOW).closes} if end == "closed early" else CASES
    now = NOW if end == "closed early" else CASE.closes
    report = build_report([CHECK, CRIME], given_by=ZHEJIANG, now=now, ends=cases if "unknown" not in end else {})

    assert [line.purpose for line in report.lines] == ["lookup.criminal_investigation", "lookup.identity_check"]
    assert (report.withheld_count, report.next_shown) == (0, None)


def test_build_report_of_many_entries_counts_the_older():
    """One province answers with its newest lines and says how many older there are."""
    entries = [replace(CHECK, time=NOW - timedelta(seconds=number)) for number in range(MAX_REPORT_LINES + 3)]
    report = build_report(entries, given_by=ZHEJIANG, now=NOW, ends={})

    assert len(report.lines) == MAX_REPORT_LINES
    assert report.older_count == 3
    assert report.lines[0].time == NOW


def test_merge_reports_of_two_provinces_is_newest_first_and_adds_up():
    """The person reads one list; withheld counts add up and the nearest day is told."""
    here = build_report([CHECK, CRIME], given_by=ZHEJIANG, now=NOW, ends=CASES)
    there = build_report([replace(CHECK, time=NOW), CRIME], given_by=ANHUI, now=NOW, ends={})
    merged = merge_reports([here, there])

    assert [line.given_by for line in merged.lines] == [ANHUI, ZHEJIANG]
    assert merged.withheld_count == 2
    assert merged.next_shown == here.next_shown


def test_report_over_the_border_names_neither_case_nor_officer():
    """A report comes back as it was sent, and holds no case number."""
    report = build_report([CHECK, CRIME], given_by=ZHEJIANG, now=NOW, ends=CASES)
    encoded = encode_report(report)

    assert decode_report(encoded, given_by=ZHEJIANG) == report
    assert CASE.case_id.encode() not in encoded
    assert b"officer" not in encoded


@pytest.mark.parametrize(
    "change",
    [
        (b'"withheld_count":1', b'"withheld_count":0'),
        (b'"allowed"', b'"perhaps"'),
        (b"2026-03-31", b"2026-3-31"),
        (b'"holder_name","status"', b'"status","holder_name"'),
        (b'"older_count":0', b'"older_count":-1'),
        (b'"lines":[{', b'"lines":[1,{'),
        (b'"asker":', b'"asker_name":"x","asker":'),
    ],
)
def test_decode_report_of_another_form_is_malformed(change):
    """What another province sends is strict, or nothing of it is taken."""
    encoded = encode_report(build_report([CHECK, CRIME], given_by=ZHEJIANG, now=NOW, ends=CASES))

    with pytest.raises(MalformedError):
        decode_report(encoded.replace(*change), given_by=ZHEJIANG)


@given(
    step=st.sampled_from(["lookup.search", "lookup.fetch"]),
    verdict=st.sampled_from(Verdict),
    fields=st.frozensets(st.sampled_from(["holder_name", "status", "sex"])),
    deferred=st.one_of(st.none(), st.just(CASE.closes)),
)
def test_given_encoded_and_decoded_is_the_same(step, verdict, fields, deferred):
    """An entry has one canonical form."""
    entry = replace(CRIME, step=step, verdict=verdict, fields=fields, deferred_until=deferred)

    assert decode(Disclosure, encode(entry)) == entry


def test_subject_request_hides_the_person_and_keeps_the_realm():
    """The number is checked as everywhere, and is in no text for people."""
    request = SubjectRequest(citizen_number="330822219003070018", identity_checked=True)

    assert decode_subject_request(encode(request), Realm.DEMO) == request
    assert request.citizen_number not in repr(request)
    with pytest.raises(MalformedError):
        decode_subject_request(encode(replace(request, citizen_number="33082221900307001")), Realm.DEMO)
    with pytest.raises(MalformedError, match="JSON_TYPE"):
        decode_subject_request(encode(request).replace(b"true", b"1"), Realm.DEMO)


def test_purpose_words_are_plain_in_both_languages():
    """A person reads words, not codes; an unknown purpose is shown rather than hidden."""
    assert purpose_words("lookup.identity_check") == ("公安机关核实身份", "the police checked an identity")
    assert purpose_words("tea.drinking") == ("tea.drinking", "tea.drinking")


def test_every_purpose_of_the_agreed_rules_has_words_for_the_person():
    """No row of the tables of policy that allows anything, no procedure and no kind of alert is without words."""
    rules = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(POLICIES.rglob("*.toml"))]
    rows = [
        {**table.get("defaults", {}).get("context", {}), **row.get("context", {})}
        for table in rules for row in table.get("case", ()) if row.get("expect") == "allowed"
    ]  # fmt: skip
    purposes = {row["purpose"] for row in rows}
    purposes |= {table["purpose"] for table in rules if "purpose" in table}
    purposes |= {row["purpose"] for table in rules for row in table.get("kind", ()) if "purpose" in row}

    assert {"lookup.missing_person", "letter.remote", "alert.fraud"} <= purposes <= PURPOSES.keys()
