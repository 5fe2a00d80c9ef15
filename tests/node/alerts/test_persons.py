"""Who is named in an alert: shown to whom the kind lets, told to the person, gone with the work at both sides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain import case_items
from federation.domain.alert_texts import HIDDEN
from federation.domain.case_items import CaseItem
from federation.domain.duty import DUTY
from federation.domain.reports import SubjectReport
from federation.node.alerts import steps
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.disclosures import tell_subject
from federation.node.joint.entries import settle_due
from federation.node.joint.records import ALERT, each_sent, opened_of, parts_of
from federation.node.log.check import check_store
from federation.node.retention import destroy_ended
from federation.protocol.errors import BridgeheadError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.store.messages import has_body
from federation.wire.agency.cases import EntryLine, EntryQuery
from tests.node.alerts.border_desks import CHANGSHAN, POLICE, YUSHAN, BorderDesks, border_desks, with_desks
from tests.node.rig import JIANGXI, ZHEJIANG, received

NUMBER, YUSHAN_POLICE = "330822219003070018", "361123.police"
PERSON = CaseItem(kind="person", fields={"name": "林甲", "sex": "f", "number": NUMBER})
LOOKS = CaseItem(kind="detail", fields={"age_band": "七十至八十岁", "clothing": "灰色外套"})
PLATE = CaseItem(kind="detail", fields={"plate": "浙H·I0001", "direction": "往玉山方向"})
FACT = CaseItem(kind="fact", fields={"text": "老人上午离家未归"})
PLACE = CaseItem(kind="place", fields={"village": "东坑", "point": "28.900000,118.500000"})
CONTACT = CaseItem(kind="contact", fields={"phone": "0570-5012345"})
CROSSING = {"detail.age_band", "detail.clothing", "fact.text"}
NAMED = {"person.name", "person.sex"}


def open_at(border: BorderDesks, node: NodeName) -> set[str]:
    """The fields that stand open at a node, of all entries."""
    here, held = border.rig[node], border.held(node)
    return {
        f"{kept.head.items[at - 1]}.{part.field}"
        for kept in held.kept.values()
        for at, part in parts_of(ALERT, here, here.database, kept=kept).items()
    }


def told(border: BorderDesks) -> SubjectReport:
    return tell_subject(border.rig[ZHEJIANG], NUMBER, now=border.rig.clock())


def given(border: BorderDesks) -> dict[str, set[str]]:
    """The fields that the person's report names, by office."""
    found: dict[str, set[str]] = {}
    for line in told(border).lines:
        found.setdefault(str(line.asker), set()).update(line.fields)
    return found


async def seen_by(border: BorderDesks, desk: str, kind: str) -> set[str]:
    texts = (await border.view(desk, kind=kind)).texts
    return {f"{item.kind}.{name}" for item in texts for name in item.fields}


async def entries(border: BorderDesks, desk: str) -> tuple[EntryLine, ...]:
    return (await steps.list_entries(border.errand(desk), EntryQuery(case=border.record))).lines


async def looks(border: BorderDesks) -> None:
    """Each node does what time brings, and destroys what has ended; all is delivered."""
    for _ in range(3):
        await border.rig.drain()
        for name in border.rig.hosts:
            await settle_due(ALERTS_SHARED, border.rig[name])
            await destroy_ended(border.rig[name])
    await border.rig.drain()


def require_gone(border: BorderDesks) -> None:
    """Nothing of an item is anywhere, both fold the same, each destruction is receipted, every row was written."""
    assert open_at(border, ZHEJIANG) == open_at(border, JIANGXI) == set()
    assert border.alert(ZHEJIANG) == border.alert(JIANGXI)
    sent = [each for kept in border.held(ZHEJIANG).own for each in _sent(border, kept.name)]
    assert sent
    assert not any(has_body(border.rig[name].database, each) for name in (ZHEJIANG, JIANGXI) for each in sent)
    receipts = [each for each in received(border.rig[ZHEJIANG], JIANGXI) if each.kind == "erasure.receipt"]
    assert len(receipts) >= len(sent)
    for name in (ZHEJIANG, JIANGXI):
        assert check_store(border.rig[name].database, border.rig.agreement).findings == ()


def _sent(border: BorderDesks, name: str) -> list[str]:
    return [each.message_id for each in each_sent(ALERT, border.rig[ZHEJIANG].database, border.record, name=name)]


async def test_who_is_missing_crosses_once_the_family_agreed_and_is_gone_at_the_close(tmp_path: Path) -> None:
    """Looks cross at once, the name with the consent, the number never; the report names each office with its fields."""
    async with border_desks(tmp_path) as border:
        raised = await border.raises(POLICE, PERSON, LOOKS, FACT, kind="help.missing")
        assert raised.decision.allowed, raised.decision
        await border.settled()
        assert open_at(border, JIANGXI) == await seen_by(border, YUSHAN, "help.missing") == CROSSING
        assert await seen_by(border, CHANGSHAN, "help.missing") == CROSSING
        assert await seen_by(border, POLICE, "help.missing") == CROSSING | NAMED | {"person.number"}
        assert given(border)["jiangxi/361123/governance"] == CROSSING
        assert given(border)["zhejiang/330822/governance"] == CROSSING

        await border.does(POLICE, "update", PERSON, LOOKS, kind="help.missing", ticked="both_sides,family_consent")
        await border.settled()
        assert open_at(border, JIANGXI) == CROSSING | NAMED
        assert given(border)["jiangxi/361123/governance"] == CROSSING | NAMED
        assert "zhejiang/330822/police" not in given(border)
        assert {line.purpose for line in told(border).lines} == {"alert.incident"}

        before = len(told(border).lines)
        await border.does(POLICE, "cancel", kind="help.missing", why="lifted")
        await border.settled()
        await looks(border)
        require_gone(border)
        assert len(told(border).lines) == before
        late = await border.does(CHANGSHAN, "note", FACT, kind="help.missing")
        assert late.decision.allowed
        await looks(border)
        assert open_at(border, JIANGXI) == set()


@pytest.mark.parametrize("is_evidence", [False, True], ids=["of itself", "kept as evidence"])
async def test_texts_end_a_month_after_the_work_at_both_sides(tmp_path: Path, is_evidence: bool) -> None:
    """Not before, and not while they are kept as evidence; acts, stamps and figures stay."""
    async with border_desks(tmp_path) as border:
        await border.raises(CHANGSHAN, FACT, PLACE, CONTACT)
        await border.does(YUSHAN, "claim")
        await border.settled()
        await border.does(YUSHAN, "stamp", CaseItem(kind="place", fields={"village": "东坑"}), stage="contacted")
        await border.settled()
        await border.does(YUSHAN, "close", result="handled", by_phone="yes", reason="电话联系，双方和解")
        await border.settled()
        held = {"fact.text", "place.village", "place.point", "contact.phone"}
        assert open_at(border, JIANGXI) == held
        with pytest.raises(RuleError) as caught:
            await border.does(YUSHAN, "keep_as_evidence", document="评估〔2126〕3号")
        assert caught.value.facts["why"] == "NOT_RAISER"
        if is_evidence:
            await border.does(CHANGSHAN, "keep_as_evidence", document="评估〔2126〕3号")
            await border.settled()
        stamps = border.alert(ZHEJIANG).stamps

        fresh = border.rig.clock() + timedelta(days=1200)
        border.rig.put_in_force(replace(with_desks(border.rig.agreement), fresh_until_time=fresh, expires_time=fresh))
        border.rig.clock.advance(days=29)
        await looks(border)
        assert open_at(border, JIANGXI) == open_at(border, ZHEJIANG) == held
        border.rig.clock.advance(days=1, seconds=1)
        await looks(border)
        if is_evidence:
            assert open_at(border, JIANGXI) == open_at(border, ZHEJIANG) == held
            border.rig.clock.advance(days=1096)
            await looks(border)
        require_gone(border)
        assert border.alert(JIANGXI).stamps == stamps
        assert border.alert(JIANGXI).state == "closed"


async def test_pursuit_shows_its_plate_to_police_alone_and_waits_to_be_told(tmp_path: Path) -> None:
    """Who is pursued crosses to nobody; the person reads of the plate once the pursuit has ended."""
    async with border_desks(tmp_path) as border:
        await border.raises(POLICE, PERSON, PLATE, kind="crime.pursuit")
        await border.settled()
        assert await seen_by(border, YUSHAN_POLICE, "crime.pursuit") == {"detail.plate", "detail.direction"}
        assert await seen_by(border, CHANGSHAN, "crime.pursuit") == {"detail.direction"}
        assert not NAMED & open_at(border, JIANGXI)
        assert (told(border).lines, told(border).withheld_count > 0) == ((), True)

        border.rig.clock.advance(hours=1)
        await border.does(POLICE, "cancel", kind="crime.pursuit", why="lifted")
        await border.settled()
        assert told(border).withheld_count == 0
        assert given(border)["jiangxi/361123/police"] == {"detail.plate", "detail.direction"}
        assert {(line.purpose, line.purpose_en.isascii()) for line in told(border).lines} == {("alert.pursuit", True)}
        assert "detail.plate" not in given(border).get("zhejiang/330822/governance", set())
        await looks(border)
        require_gone(border)


async def test_own_node_refuses_a_person_and_a_terminal_code_in_a_text(tmp_path: Path) -> None:
    """In an item and in a head; nothing is written, and what was typed is not said."""
    texts = {
        f"请找{NUMBER}": "TEXT_PERSONAL", "请打13812345678": "TEXT_PERSONAL", "浙H·I0001停在路口": "TEXT_PERSONAL",
        "卡号6222021234567890123": "TEXT_PERSONAL", "起火\x1b[2J": "TEXT_UNSEEN", "起火\x9b2J": "TEXT_UNSEEN",
        "起火\u202e火起": "TEXT_UNSEEN",
    }  # fmt: skip
    async with border_desks(tmp_path, (ZHEJIANG,)) as border:
        await border.raises()
        for text, reason in texts.items():
            for name, items, fields in (
                ("note", (CaseItem(kind="fact", fields={"text": text}),), {}),
                ("keep_as_evidence", (), {"document": text}),
            ):
                with pytest.raises(BridgeheadError) as caught:
                    await border.does(CHANGSHAN, name, *items, **fields)
                assert (name, caught.value.reason) == (name, reason)
                assert text not in caught.value.message
        assert len(await entries(border, CHANGSHAN)) == 1


async def test_of_another_nodes_text_that_field_stays_closed_and_its_entry_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that lets it out: the other one folds the same, shows it to nobody, and takes it in once."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        await border.settled()
        monkeypatch.setattr(steps, "verify_texts", lambda *_, **__: None)
        monkeypatch.setattr(case_items, "names_by_number", lambda _: False)
        await border.does(YUSHAN, "claim")
        await border.settled()
        await border.does(YUSHAN, "note", CaseItem(kind="fact", fields={"text": f"请打13812345678，{NUMBER}"}))
        await border.settled()
        await border.does(YUSHAN, "release", reason="改打13812345678")
        await border.settled()
        await border.does(CHANGSHAN, "note", CaseItem(kind="fact", fields={"text": "=HYPERLINK(1)"}))
        await border.settled()

        assert border.alert(ZHEJIANG) == border.alert(JIANGXI)
        by_act = {(line.agency.node, line.act): line for line in await entries(border, CHANGSHAN)}
        note, release = by_act[JIANGXI, "note"], by_act[JIANGXI, "release"]
        assert [(item.fields, item.closed) for item in note.items] == [({}, 1)]
        assert release.fields["reason"] == HIDDEN
        assert release.without_effect == ""
        assert by_act[ZHEJIANG, "note"].items[0].fields == {"text": "=HYPERLINK(1)"}
        kept = border.held(ZHEJIANG).kept[note.name]
        assert opened_of(ALERT, border.rig[ZHEJIANG].database, kept) == {0, 1}


@pytest.mark.parametrize("status", ["Actual", "Exercise"])
async def test_desk_that_is_off_the_sheet_is_shown_nothing_new_and_does_nothing(tmp_path: Path, status: str) -> None:
    """The running alert goes on with the others; exercises are judged the same."""
    async with border_desks(tmp_path) as border:
        await border.raises(POLICE, PLATE, kind="crime.pursuit", status=status)
        await border.settled()
        assert await seen_by(border, YUSHAN_POLICE, "crime.pursuit") == {"detail.plate", "detail.direction"}
        files = {
            path: content.replace(b'"361123.police"', b'"361123.other"') if path.startswith(DUTY) else content
            for path, content in with_desks(border.rig.agreement).files.items()
        }
        border.rig.put_in_force(replace(with_desks(border.rig.agreement), files=files))
        fact = CaseItem(kind="fact", fields={"text": "已上高速"})
        await border.does(POLICE, "update", PLATE, fact, kind="crime.pursuit")
        await border.settled()

        refused = (await border.view(YUSHAN_POLICE, kind="crime.pursuit")).decision
        assert (refused.allowed, refused.policies) == (False, ("default-deny",))
        with pytest.raises(BridgeheadError) as caught:
            await border.does(YUSHAN_POLICE, "claim", kind="crime.pursuit")
        assert caught.value.reason == "DUTY_DESK"
        newest = list(border.held(JIANGXI).kept.values())[-1]
        here = border.rig[JIANGXI]
        opened = parts_of(ALERT, here, here.database, kept=newest).values()
        assert {part.field for part in opened} == {"direction", "text"}
        assert await seen_by(border, CHANGSHAN, "crime.pursuit") == {"detail.direction", "fact.text"}


async def test_who_was_away_until_after_the_end_is_handed_heads_alone(tmp_path: Path) -> None:
    """What was on its way with a person in it is withdrawn at the close; both fold the same once the link is back."""
    async with border_desks(tmp_path) as border:
        border.rig.faults(ZHEJIANG, JIANGXI).cut = True
        await border.raises(POLICE, PERSON, LOOKS, kind="help.missing", ticked="both_sides,family_consent")
        border.rig.clock.advance(minutes=5)
        await border.does(POLICE, "cancel", kind="help.missing", why="lifted")
        for _ in range(2):
            await settle_due(ALERTS_SHARED, border.rig[ZHEJIANG])
            await destroy_ended(border.rig[ZHEJIANG])
        assert open_at(border, ZHEJIANG) == set()

        await border.rig.restore(ZHEJIANG, JIANGXI)
        await border.settled()
        await looks(border)
        assert border.alert(JIANGXI) == border.alert(ZHEJIANG)
        assert border.alert(JIANGXI).state == "cancelled"
        assert open_at(border, JIANGXI) == set()
