"""Entries of a joint record: whose they are, and what a head may not hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from federation.domain.joint import MAX_HEAD_BYTES, Head, cuts, decode_head, read_entry
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import NodeName, RecordId, parse_agency_id

RECORD = RecordId("zhejiang/0193587f-0a00-7000-8000-000000000000")
OPENING = Head(
    record=RECORD, n=1, parents=frozenset(), height=0, at=datetime(2026, 11, 23, 8, tzinfo=UTC),
    agency=parse_agency_id("zhejiang/330822/court"), officer="cs-0001", act="open", fields={}, items=("party",),
)  # fmt: skip
ANSWER = replace(
    OPENING, n=1, parents=frozenset({"ab" * 32}), height=1, agency=parse_agency_id("jiangxi/361123/court"),
    fields={"result": "accepted", "sum": 120000, "claims": ("ab" * 32,)},
)  # fmt: skip


@pytest.mark.parametrize("head", [OPENING, ANSWER, replace(ANSWER, officer=None)])
def test_entry_is_named_by_its_commitment_and_its_author(head):
    """What is written is read again, and no content is in its repr."""
    entry = read_entry(encode(head), name="cd" * 32, author=head.agency.node)

    assert (entry.name, entry.author, entry.head) == ("cd" * 32, head.agency.node, head)
    assert "accepted" not in repr(entry)


@pytest.mark.parametrize(
    ("head", "author", "reason"),
    [
        (ANSWER, "zhejiang", "ENTRY_AUTHOR"),
        (replace(OPENING, record=RecordId(RECORD.replace("zhejiang", "anhui"))), "zhejiang", "ENTRY_OPENING"),
        (replace(OPENING, n=2), "zhejiang", "ENTRY_OPENING"),
    ],
)
def test_entry_of_another_author_is_refused(head, author, reason):
    """No node speaks for another's agency, and only the node of the record writes an entry that stands on none."""
    with pytest.raises(UntrustedError, match=reason):
        read_entry(encode(head), name="cd" * 32, author=NodeName(author))


def test_head_names_no_person_but_a_digest_is_chance():
    """A text of a head is refused when it holds a citizen number; a digest may hold such digits."""
    number = "361123219003070011"
    with pytest.raises(MalformedError, match="HEAD_NAMES_PERSON") as caught:
        decode_head(encode(replace(ANSWER, fields={"reason": f"见{number}"})))

    assert number not in str(caught.value)
    assert decode_head(encode(replace(ANSWER, fields={"digest": number.rjust(64, "a")})))


def test_size_of_a_head_is_bounded():
    """Fields that are allowed one by one do not add up to a head without end."""
    fields = {f"f{number}": "字" * 300 for number in range(9)}
    assert len(encode(replace(ANSWER, fields=fields))) > MAX_HEAD_BYTES
    with pytest.raises(MalformedError, match="HEAD_SIZE"):
        decode_head(encode(replace(ANSWER, fields=fields)))
    del fields["f0"]
    assert decode_head(encode(replace(ANSWER, fields=fields)))


def test_cut_names_the_last_entry_of_each_node():
    """0 cuts all of a node's entries; a head without the field cuts none."""
    assert cuts(replace(ANSWER, fields={"cut": ("anhui:0", "fujian:12")})) == {"anhui": 0, "fujian": 12}
    assert cuts(ANSWER) == {}
