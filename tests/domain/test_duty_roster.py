"""The duty book of a desk by its rules alone: whatever officers do, one answers for it or none, and no row can be left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.duty import read_duty
from federation.domain.duty_roster import (
    DutyAct,
    DutyLine,
    OwnSignature,
    Turn,
    digest_of,
    draft_hand_over,
    hand_over_bytes,
    is_unhanded,
    is_volunteer,
    offer,
    present,
    sign_off,
    sign_on,
    take_over,
    verify_draft,
    verify_hand_over,
)
from federation.node.home.draft import read_duty_sheets
from federation.protocol.errors import RuleError
from federation.protocol.form import decode, encode
from federation.protocol.ids import format_base64
from federation.protocol.keys import Ed25519Signer, format_public_key
from tests.domain.alert_ridge import ROOT

DUTY = read_duty(read_duty_sheets(ROOT / "nodes"))
DESK = DUTY.desks["330822111.town"]
BEGIN = datetime(2026, 4, 4, 0, 0, tzinfo=UTC)
SIGNERS = {name: Ed25519Signer(bytes([number]) * 32) for number, name in enumerate(("a", "b", "c"), start=1)}
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["on", "off", "offer", "take"]), st.sampled_from("abc"), st.sampled_from("abc"),
        st.sampled_from([-60, 0, 1, 600, 20_000]),
    ),
    max_size=30,
)  # fmt: skip
"""What officers try, one behind the other, with the seconds between; a clock may go back."""


def signature(officer: str, entry) -> OwnSignature:
    signer = SIGNERS[officer]
    return OwnSignature(
        officer=officer, key=format_public_key(signer.public_key), version=1,
        signature=format_base64(signer.sign(hand_over_bytes(entry))),
    )  # fmt: skip


def tried(act: str, turn: Turn, to: str) -> DutyLine:
    if act == "on":
        return sign_on(DUTY, turn)
    if act == "off":
        return sign_off(turn, nothing_open=False)
    if act == "offer":
        entry = draft_hand_over(turn, incoming=to, alerts=())
        return offer(turn, verify_draft(turn, entry, alerts=()), signature(turn.officer, entry))
    waiting = turn.offered
    if waiting is None or waiting.incoming != turn.officer:
        raise RuleError("HAND_OVER_NONE", "nothing waits")
    return take_over(turn, waiting, signature(turn.officer, waiting))


@settings(max_examples=60, deadline=None)
@given(acts=ACTS)
def test_one_officer_answers_until_another_took_over_by_both_signatures(acts) -> None:
    """Who answers changes by the first sign-on, then by take-overs alone; rows are in order, each cites the one before."""
    before, now = None, BEGIN
    for act, officer, to, seconds in acts:
        now += timedelta(seconds=seconds)
        turn = Turn(desk=DESK, before=before, officer=officer, at=now)
        try:
            line = tried(act, turn, to)
        except RuleError:
            continue
        assert decode(DutyLine, encode(line)) == line
        assert line.before == (digest_of(before) if before is not None else "")
        assert before is None or (line.number, line.time > before.time) == (before.number + 1, True)
        names = [each.officer for each in line.on]
        assert len(names) == len(set(names))
        charge = before.charge if before is not None else ""
        if line.act is DutyAct.TAKE_OVER:
            entry = verify_hand_over(line)
            assert (charge, line.charge) == (entry.outgoing, entry.incoming)
            assert entry.outgoing not in names
            assert not is_unhanded(line, line.time)
        else:
            assert line.charge == (charge or (officer if act == "on" else ""))
        before = line


def test_rows_that_are_a_day_old_say_nothing_of_who_is_on_and_all_of_who_answers() -> None:
    """To the millisecond: on for 24 hours, then nobody is, and who answered still does."""
    line = sign_on(DUTY, Turn(desk=DESK, before=None, officer="a", at=BEGIN))
    day = timedelta(hours=24)
    assert [each.officer for each in present(line, BEGIN + day - timedelta(milliseconds=1))] == ["a"]
    assert present(line, BEGIN + day) == ()
    assert is_unhanded(line, BEGIN + day)
    again = sign_on(DUTY, Turn(desk=DESK, before=line, officer="a", at=BEGIN + day))
    assert (again.charge, len(again.on)) == ("a", 1)


def test_volunteers_are_known_by_their_form() -> None:
    """A prefix of a duty sheet and six letters: no officer of that name is on duty; another name is nobody's."""
    assert is_volunteer(DUTY, "v-7kq2mx")
    for name in ("v-7kq2m", "w-7kq2mx", "v-7kq2mxx", "town-1", "V-7KQ2MX"):
        assert not is_volunteer(DUTY, name)
