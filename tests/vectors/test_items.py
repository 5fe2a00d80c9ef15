"""Every item, stored value and signed document in bytes: what is written stays as it is, what is refused stays refused.

A file of `items/` holds one kind. `accepted`: bytes that are taken, and written again in the same way. `refused`: under
each reason the changes of them that it is given for: `[value, place, what is put there]`, with a fourth number for text
repeated so often, `[value, place]` for a name that is dropped, or the name of one of the `SPOILT` spellings.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.corrections import Correction, CorrectionAnswer, CorrectionRequest, decode_correction_notice
from federation.domain.erasure import OrderItem, decode_receipt_item
from federation.domain.intake import IntakeEntry, Refusal, Reminder, refuse_bytes, release_bytes
from federation.domain.joint import decode_head
from federation.domain.leads import HandedLead, Lead, LeadAnswer
from federation.domain.lookups import (
    FetchItem,
    decode_answer_item,
    decode_fetch_item,
    decode_release_item,
    decode_search_item,
    step_up_bytes,
)
from federation.domain.lookups_case import bulk_bytes, countersign_bytes, decode_case
from federation.domain.oversight import (
    BreakGlass,
    Finding,
    SampleFinding,
    SampleReview,
    decode_reading,
    digest_bytes,
    readings_bytes,
    review_bytes,
    sample_review_bytes,
)
from federation.domain.permits import decode_permit, decode_permit_item, encode_permit
from federation.domain.recognition import decode_recognition_item
from federation.domain.registers import decode_enterprise, decode_vehicle
from federation.domain.reports import Disclosure, decode_report, decode_subject_request, encode_report
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import decode, encode
from federation.protocol.ids import AgencyId, MessageId, NodeName, Realm
from federation.protocol.leaf import decode_leaf, encode_leaf
from federation.protocol.policy.engine import decode_request, encode_request
from federation.protocol.statement import decode_statement, encode_statement
from federation.protocol.trust.draft import decode_bundle, encode_bundle
from federation.protocol.trust.members import decode_members, decode_terms, encode_members, encode_terms

HERE = Path(__file__).parent / "items"
ZHEJIANG, DEMO = NodeName("zhejiang"), Realm.DEMO
CHANGSHAN = AgencyId(ZHEJIANG, "330822", "police")


@dataclass(frozen=True)
class Kind:
    """How one kind of value is read and written."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def item(kind):
    """An item whose class says it all."""
    return Kind(partial(decode, kind), encode)


KINDS = {
    "statement": Kind(decode_statement, encode_statement),
    "envelope": Kind(parse_envelope, lambda envelope: envelope.encoded),
    "leaf": Kind(decode_leaf, encode_leaf),
    "policy-request": Kind(decode_request, encode_request),
    "members": Kind(lambda encoded: decode_members(encoded, federation="bridgehead.example"), encode_members),
    "terms": Kind(decode_terms, encode_terms),
    "bundle": Kind(decode_bundle, encode_bundle),
    "permit-item": Kind(lambda encoded: decode_permit_item(encoded, DEMO), encode),
    "permit-record": Kind(decode_permit, encode_permit),
    "recognition": Kind(lambda encoded: decode_recognition_item(encoded, DEMO), encode),
    "vehicle": Kind(decode_vehicle, encode),
    "enterprise": Kind(decode_enterprise, encode),
    "lookup-case": Kind(decode_case, encode),
    "lookup-search": Kind(lambda encoded: decode_search_item(encoded, DEMO), encode),
    "lookup-answer": Kind(decode_answer_item, encode),
    "lookup-fetch": Kind(decode_fetch_item, encode),
    "lookup-release": Kind(lambda encoded: decode_release_item(encoded, DEMO), encode),
    "lookup-refusal": item(Refusal),
    "lookup-second": item(Reminder),
    "intake-entry": item(IntakeEntry),
    "break-glass": item(BreakGlass),
    "sample-review": item(SampleReview),
    "reading": Kind(decode_reading, encode),
    "given": item(Disclosure),
    "subject-request": Kind(lambda encoded: decode_subject_request(encoded, DEMO), encode),
    "subject-report": Kind(lambda encoded: decode_report(encoded, given_by=ZHEJIANG), encode_report),
    "correction-request": item(CorrectionRequest),
    "correction-answer": item(CorrectionAnswer),
    "correction-notice": Kind(decode_correction_notice, encode),
    "correction-record": item(Correction),
    "lead": item(Lead),
    "lead-answer": item(LeadAnswer),
    "lead-handed": item(HandedLead),
    "entry-head": Kind(decode_head, encode),
    "erasure-order": item(OrderItem),
    "erasure-receipt": Kind(decode_receipt_item, encode),
}

SIGNED = {
    "lookup.fetch": lambda: step_up_bytes(
        FetchItem(
            lookup_id=MessageId("0193587f-0a00-7000-8000-000000000000"), handle="A" * 32,
            fields=frozenset({"holder_name", "birth_date"}), officer_key="AAAA", officer_signature="BBBB",
        )
    ),
    "lookup.release": lambda: release_bytes(CHANGSHAN, "o-1", request_id="r-1", fields=frozenset({"sex", "urn"})),
    "lookup.refuse": lambda: refuse_bytes(CHANGSHAN, "o-1", request_id="r-1", reason="other", words="案情“不清”"),
    "lookup.countersign": lambda: countersign_bytes("YS-2026-0042", CHANGSHAN),
    "lookup.countersign.bulk": lambda: bulk_bytes("YS-2026-0042", CHANGSHAN),
    "lookup.break_glass.review": lambda: review_bytes(
        "BREAK-GLASS-7", CHANGSHAN, finding=Finding.UNJUSTIFIED, words="不必"
    ),
    "lookup.sample.review": lambda: sample_review_bytes(
        CHANGSHAN, "l-1", finding=SampleFinding.LAWFUL, words="已核对警情"
    ),
    "lookup.digest": lambda: digest_bytes(CHANGSHAN, "o-1", day=date(2026, 11, 23), reader="o-2"),
    "lookup.readings": lambda: readings_bytes(CHANGSHAN, "YS-2026-0042", reader="o-2"),
}  # fmt: skip


WORDS = (
    "", "zz", "é", "徐谷雨", "2026-02-29", "2026-02-28", "20260228", "2026-W01-1", "\n", "a\u007f", "\u200b", '"\\',
    "2026-11-23T08:00:00.000Z", "2026-11-23T24:00:00.000Z", "2026-11-23T08:00:00Z", "0" * 64, "A" * 64, "0" * 201,
    "zhejiang", "zhejiang/330822/police", "zhejiang>jiangxi", "330822", "33082２", "F01", "true", "361123219003070012",
    "0193587f-0a00-7000-8000-000000000000", "0193587f-0a00-4000-8000-000000000000", "urn:permit:330822:2025:000123",
)  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.sampled_from(WORDS), st.text(st.characters(codec="utf-8"), max_size=8),
    st.integers(-2, 3), st.sampled_from([2**53 - 1, 2**53, 2**64]), st.sampled_from([[], {}, [""], ["b", "a"]]),
)  # fmt: skip


@cache
def corpus(name):
    return json.loads((HERE / f"{name}.json").read_text("utf-8"))


SPOILT = {
    "nothing": lambda text: b"",
    "array": lambda text: b"[]",
    "null": lambda text: b"null",
    "empty object": lambda text: b"{}",
    "cut off": lambda text: text[:-1].encode(),
    "space after": lambda text: f"{text} ".encode(),
    "space before": lambda text: f" {text}".encode(),
    "space within": lambda text: text.replace(":", ": ", 1).encode(),
    "second object": lambda text: f"{text}{{}}".encode(),
    "every name twice": lambda text: f"{text[:-1]},{text[1:]}".encode(),
    "real number": lambda text: f'{text[:-1]},"zz":1.5}}'.encode(),
    "no number": lambda text: f'{text[:-1]},"zz":NaN}}'.encode(),
    "large number": lambda text: f'{text[:-1]},"zz":100000000000000000000}}'.encode(),
    "lone surrogate": lambda text: f'{text[:-1]},"zz":"\\ud800"}}'.encode(),
    "escaped letter": lambda text: text.replace(text[2], f"\\u00{ord(text[2]):02x}", 1).encode(),
    "no UTF-8": lambda text: b"\xff" + text.encode(),
}


def changed(accepted, change):
    """The bytes that one change of the accepted values makes."""
    if isinstance(change, str):
        return SPOILT[change](accepted[0])
    of, place, *put = change
    value = json.loads(accepted[of])
    *way, last = (int(step) if step.isdigit() else step for step in place.split("|"))
    found = value
    for step in way:
        found = found[step]
    if put:
        found[last] = put[0] if len(put) == 1 else put[0] * put[1]
    else:
        del found[last]
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_corpus_holds_every_kind():
    """A kind has a file, and a file is of a kind: none is left out of the tests below."""
    assert {path.stem for path in HERE.glob("*.json")} == {*KINDS, "signed"}


@pytest.mark.parametrize("name", KINDS)
def test_accepted_bytes_are_written_as_they_were_read(name):
    """Each value has one spelling, and it stays what it was."""
    kind, accepted = KINDS[name], corpus(name)["accepted"]
    assert len(accepted) >= 2
    for text in accepted:
        assert kind.encode(kind.decode(text.encode())) == text.encode()


@pytest.mark.parametrize("name", KINDS)
def test_refused_bytes_are_refused_for_the_same_reason(name):
    """What was not of the form never becomes a value, and the sender is told the same."""
    kind, found = KINDS[name], corpus(name)
    assert found["refused"]
    for reason, changes in found["refused"].items():
        for change in changes:
            with pytest.raises(BridgeheadError) as caught:
                kind.decode(changed(found["accepted"], change))
            assert caught.value.reason == reason, change


def paths(value, way=()):
    """The place of every value within a JSON object."""
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, within in found:
        yield (*way, step)
        yield from paths(within, (*way, step))


@st.composite
def spoilt(draw, name):
    """Bytes of a kind with one place changed, dropped or added to, or one byte changed."""
    text = draw(st.sampled_from(corpus(name)["accepted"]))
    how = draw(st.sampled_from(["put", "drop", "add", "byte"]))
    if how == "byte":
        encoded = bytearray(text.encode())
        encoded[draw(st.integers(0, len(encoded) - 1))] = draw(st.integers(0, 255))
        return bytes(encoded)
    value = json.loads(text)
    *way, last = draw(st.sampled_from(list(paths(value))))
    within = value
    for step in way:
        within = within[step]
    if how == "put":
        within[last] = draw(VALUES)
    elif how == "drop":
        del within[last]
    elif isinstance(within, dict):
        within[draw(st.sampled_from(WORDS))] = draw(VALUES)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_changed_bytes_are_refused_or_another_value(name, data):
    """No two byte strings are one value, and no error but our own leaves a codec."""
    encoded = data.draw(spoilt(name))
    try:
        value = KINDS[name].decode(encoded)
    except BridgeheadError:
        return
    try:
        again = KINDS[name].encode(value)
    except BridgeheadError as error:
        assert error.reason == "TEXT_UNSEEN"  # noqa: PT017 what an old store holds is read, and never written anew
        return
    assert again == encoded


def refusal_of(name, encoded):
    """The error of a refusal, None when the bytes are taken."""
    try:
        KINDS[name].decode(encoded)
    except BridgeheadError as error:
        return error
    return None


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"members", "bundle"}))
def test_no_refusal_shows_a_value(name):
    """What was put in a wrong place may be a person's: the error names the place only (members are no persons)."""
    secret = "\n361123219003070012"
    for text in corpus(name)["accepted"][:2]:
        for *way, last in paths(json.loads(text)):
            value = json.loads(text)
            within = value
            for step in way:
                within = within[step]
            within[last] = secret
            error = refusal_of(
                name, json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            )
            assert way == ["fields"] or secret.strip() not in f"{error} {getattr(error, 'facts', None)}", (way, last)


@pytest.mark.parametrize("act", SIGNED)
def test_bytes_that_an_officer_signs_stay_the_same(act):
    """A signature made before holds afterwards."""
    assert SIGNED[act]().decode() == corpus("signed")[act]
