"""A file of stamps made while the own node was away: whole or refused, and handed in once however often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.alert import AlertState
from federation.domain.alert_island import FIRST, HAND_IN, MAX_LINES, Island, IslandStamp, read_island, write_line
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import OfficerId, format_time, parse_agency_id
from federation.protocol.keys import Ed25519Signer
from tests.domain.alert_ridge import NIGHT, QIUCHUAN, YUSHAN, Ridge

KEY, OTHER = Ed25519Signer(bytes(32)), Ed25519Signer(bytes(31) + b"\1")
AT = datetime(2026, 4, 4, 2, 31, tzinfo=UTC)
DESK = "330822.governance"
STAMP = IslandStamp(
    n=1, before=FIRST, at=AT, agency=parse_agency_id("zhejiang/330822/governance"), officer=OfficerId("o-1"), act="stamp",
    alert="330822101001EX_20260404101503_0", fields={"desk": DESK, "stage": "arrived", "late": "road"},
)  # fmt: skip
CLAIM = replace(STAMP, act="claim", fields={"desk": DESK})
END = replace(STAMP, act=HAND_IN, alert="", fields={}, at=AT + timedelta(minutes=31))


def written(*stamps: IslandStamp, key: Ed25519Signer = KEY) -> bytes:
    content = b""
    for stamp in stamps:
        content += write_line(read_island(content, key.public_key), stamp, key)
    return content


FILE = written(CLAIM, *(replace(STAMP, at=AT + timedelta(minutes=minute)) for minute in range(3)))
LINES = FILE.splitlines(keepends=True)


def refused(content: bytes, reason: str, key: Ed25519Signer = KEY) -> None:
    with pytest.raises(BridgeheadError) as raised:
        read_island(content, key.public_key)
    assert raised.value.reason == reason


def test_file_is_read_as_it_was_written() -> None:
    """Each claim and stamp in its order, with an id of its own; an empty file has none."""
    island = read_island(FILE, KEY.public_key)
    assert [(line.stamp.n, line.stamp.act) for line in island.lines] == [
        (1, "claim"),
        (2, "stamp"),
        (3, "stamp"),
        (4, "stamp"),
    ]
    assert len({line.request_id for line in island.lines}) == 4
    assert read_island(b"", KEY.public_key) == Island()


def test_late_entry_says_when_it_was_made_and_when_it_was_handed_in() -> None:
    """Of a stamp and of a claim, which was made out of reach of the others; the same for each repeat."""
    claim, stamp, *_ = read_island(FILE, KEY.public_key).lines
    times = {"made": "2026-04-04T02:31:00.000Z", "synced": "2026-04-04T03:02:00.000Z"}
    assert stamp.handed_in(END.at) == {"desk": DESK, "stage": "arrived", "late": "road", **times}
    assert claim.handed_in(END.at) == {"desk": DESK, **times}
    assert read_island(FILE, KEY.public_key).lines[0].request_id == claim.request_id


def test_closed_file_takes_no_more() -> None:
    """Its end is a line like the others; behind it nothing stands."""
    closed = FILE + write_line(read_island(FILE, KEY.public_key), END, KEY)
    island = read_island(closed, KEY.public_key)
    assert island.closed is not None
    assert (len(island.lines), island.closed.stamp.at) == (4, END.at)
    with pytest.raises(ConflictError, match="handed in"):
        write_line(island, STAMP, KEY)
    refused(closed + LINES[0], "ISLAND_CHAIN")


@pytest.mark.parametrize(
    "content",
    [
        b"".join([LINES[1], LINES[0], *LINES[2:]]),
        b"".join([LINES[0], *LINES[2:]]),
        b"".join(LINES[1:]),
        b"".join([*LINES, LINES[3]]),
        b"".join([LINES[0], LINES[0]]),
    ],
)
def test_line_that_does_not_follow_refuses_the_file(content: bytes) -> None:
    """Moved, left out, repeated."""
    refused(content, "ISLAND_CHAIN")


def test_other_key_or_officer_refuses_the_file() -> None:
    """What another key signed, and what another officer added, even with the same key."""
    refused(FILE, "ISLAND_SIGNATURE", OTHER)
    (first,) = read_island(LINES[0], KEY.public_key).lines
    theirs = Island(lines=(replace(first, stamp=replace(first.stamp, officer="o-2")),))
    refused(LINES[0] + write_line(theirs, replace(STAMP, officer="o-2"), KEY), "ISLAND_CHAIN")
    with pytest.raises(ConflictError, match="another officer"):
        write_line(read_island(FILE, KEY.public_key), replace(STAMP, officer="o-2"), KEY)


@pytest.mark.parametrize(
    "fields", [{}, {"desk": DESK}, {"desk": DESK, "stage": "closed"}, {"desk": DESK, "stage": "arrived", "x": "y"}]
)
def test_what_is_no_stamp_is_not_written(fields: dict[str, str]) -> None:
    """A stamp has the fields of its act, and a line its length."""
    with pytest.raises(MalformedError):
        write_line(Island(), replace(STAMP, fields=fields), KEY)
    with pytest.raises(MalformedError, match="shorter"):
        write_line(Island(), replace(STAMP, alert="x" * 4096), KEY)


def test_file_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many lines and no more; there is always room for the line that closes it."""
    last = replace(STAMP, n=MAX_LINES - 1)
    full = Island(lines=(read_island(written(STAMP), KEY.public_key).lines[0],) * (MAX_LINES - 1))
    with pytest.raises(ConflictError, match="at most"):
        write_line(full, last, KEY)
    assert write_line(full, END, KEY)
    refused(b"x" * (MAX_LINES * 4096 + 1), "ISLAND_SIZE")


def test_line_that_was_not_written_whole_is_left_out() -> None:
    """Power failed in the middle of it: those before it count. A file without a whole line may be anything."""
    for cut in (1, 5, len(LINES[3])):
        assert len(read_island(FILE[:-cut], KEY.public_key).lines) == 3
    refused(LINES[0][:-1], "ISLAND_FORM")


@given(at=st.integers(0, len(FILE) - 1), value=st.integers(0, 255))
def test_no_byte_changes_unseen(at: int, value: int) -> None:
    """Another byte anywhere refuses the whole file, or, at its end, leaves the last line out."""
    changed = FILE[:at] + bytes([value]) + FILE[at + 1 :]
    whole = read_island(FILE, KEY.public_key)
    try:
        found = read_island(changed, KEY.public_key)
    except BridgeheadError:
        return
    assert found == whole or (at == len(FILE) - 1 and found.lines == whole.lines[:3])


@given(st.permutations(LINES))
def test_no_order_but_the_own_is_read(lines: list[bytes]) -> None:
    """Whatever order the lines are brought into."""
    if lines == LINES:
        assert len(read_island(b"".join(lines), KEY.public_key).lines) == 4
    else:
        refused(b"".join(lines), "ISLAND_CHAIN")


# ---- what a late claim does in an alert


def test_claim_made_while_the_node_was_away_holds_and_is_measured_by_when_it_was_made() -> None:
    """Handed in after the limit, it was in time; the stamp says when it was made (补录)."""
    ridge, made = Ridge(), NIGHT + timedelta(seconds=40)
    ridge.raises()
    ridge.later(600).does(QIUCHUAN, "claim", local="yes", made=format_time(made))
    alert = ridge.agreed()
    stamp = alert.stamps[AlertState.ACCEPTED]
    assert (stamp.made, stamp.measured, stamp.at) == (made, made, NIGHT + timedelta(seconds=600))
    assert alert.attained(AlertState.ACCEPTED)
    assert alert.hold is not None
    assert alert.hold.desk == QIUCHUAN


def test_late_claim_of_what_another_desk_holds_helps() -> None:
    """The holder stays; the earlier acceptance is measured, and a later one is not."""
    for seconds, early in ((5, True), (30, False)):
        ridge = Ridge()
        ridge.raises()
        ridge.receipts(ridge.later(20).does(YUSHAN, "claim"))
        made = format_time(NIGHT + timedelta(seconds=seconds))
        ridge.later(600).does(QIUCHUAN, "claim", local="yes", made=made)
        alert = ridge.agreed()
        assert alert.hold is not None
        assert (alert.hold.desk, alert.helpers) == (YUSHAN, {QIUCHUAN})
        assert alert.stamps[AlertState.ACCEPTED].early is early
