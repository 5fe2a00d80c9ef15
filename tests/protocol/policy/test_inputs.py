"""Questions to policy as bytes: one form for each, decided the same after as before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.policy import Entity, EntityRef, PolicyRequest, decide_afresh, load_policy_book
from federation.protocol.policy.engine import decode_request, encode_request
from tests.policies.case_table import load_cases, policy_files

BOOK = load_policy_book(policy_files())
CASES = [case for name in ("permits.toml", "lookups.toml", "registers.toml") for case in load_cases(name, BOOK)]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
refs = st.builds(EntityRef, texts, texts)
values = st.one_of(st.booleans(), texts, st.frozensets(texts, max_size=4), refs)
attributes = st.dictionaries(texts, values, max_size=4).map(
    lambda found: tuple(sorted(found.items(), key=lambda at: at[0]))
)
entities = st.builds(Entity, refs, attributes, st.lists(refs, max_size=3).map(lambda found: tuple(sorted(found))))
requests = st.builds(
    PolicyRequest,
    principal=entities,
    action=texts,
    resource=entities,
    context=attributes,
    others=st.lists(entities, max_size=3, unique_by=lambda entity: entity.ref).map(
        lambda found: tuple(sorted(found, key=lambda entity: entity.ref))
    ),
)


@given(requests)
def test_request_of_any_values_comes_back_as_it_was(request):
    """Whatever a question is made of, decoding its bytes gives the question."""
    assert decode_request(encode_request(request)) == request


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name_en)
def test_request_decoded_is_decided_as_before(case):
    """A kept question gets the decision that it got when it was new, fields and all."""
    again = decode_request(encode_request(case.request))

    assert encode_request(again) == encode_request(case.request)
    assert decide_afresh(BOOK, again) == decide_afresh(BOOK, case.request)


def test_request_in_another_order_has_the_same_bytes():
    """Equal questions are one byte string, in whatever order the attributes came."""
    request = CASES[0].request
    turned = PolicyRequest(
        principal=request.principal._replace(attrs=request.principal.attrs[::-1]),
        action=request.action,
        resource=request.resource,
        context=request.context[::-1],
        others=request.others,
    )

    assert encode_request(turned) == encode_request(request)


def test_request_with_an_attribute_twice_is_refused():
    """Two values under one name are not a question."""
    request = CASES[0].request
    doubled = PolicyRequest(
        principal=request.principal,
        action=request.action,
        resource=request.resource,
        context=(*request.context, ("purpose", "another")),
    )

    with pytest.raises(MalformedError) as caught:
        encode_request(doubled)

    assert caught.value.reason == "POLICY_REQUEST"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"principal": "zhejiang"}, "POLICY_REQUEST"),
        ({"others": {}}, "POLICY_REQUEST"),
        ({"context": {"fields": ["b", "a"]}}, "POLICY_REQUEST"),
        ({"context": {"fields": ["a", "a"]}}, "POLICY_REQUEST"),
        ({"context": {"fields": ["a", True]}}, "POLICY_REQUEST"),
        ({"context": {"count": 1}}, "POLICY_REQUEST"),
        ({"context": {"purpose": None}}, "POLICY_REQUEST"),
        ({"context": {"who": {"type": "Agency"}}}, "JSON_MISSING_NAME"),
        ({"action": True}, "JSON_TYPE"),
        ({"citizen_number": "x"}, "JSON_UNKNOWN_NAME"),
    ],
)
def test_request_of_another_form_is_refused(change, reason):
    """Bytes that are no question are refused with a reason, never half read."""
    value = json.loads(encode_request(CASES[0].request)) | change
    encoded = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(MalformedError) as caught:
        decode_request(encoded)

    assert caught.value.reason == reason
