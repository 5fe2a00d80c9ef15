"""Deciding again: what two provinces decided of each other's look-ups comes out the same, and a draft shows its effect."""

from __future__ import annotations

import re
import shutil
import zlib
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.lookups import Outcome
from federation.node.log.decisions import DECISION
from federation.node.log.replay import Period, replay
from federation.node.serve import utc_now
from federation.protocol.errors import CorruptError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import format_time
from federation.store.records import find_record, put_records
from federation.wire.agency.lookups import FETCH
from tests.cli.command_line import run
from tests.node.kept_decisions import list_decisions
from tests.scenarios.provinces import POLICIES, make_federation
from tests.scenarios.test_lookup import Border, act, border

ALWAYS = Period()


async def ask_all_kinds(found: Border) -> None:
    """A case, a hit, a fetch, one field too many, and a province that the case does not name."""
    await found.open_case()
    number = found.application.holder.citizen_number
    hit = (await found.search(number, "zhejiang"))["zhejiang"]
    assert hit.handle is not None, hit
    released = await found.police.call(FETCH, act(), found.fetch_question(hit.handle))
    assert released.outcome is Outcome.HIT
    too_much = await found.police.call(FETCH, act(), found.fetch_question(hit.handle, frozenset({"ethnicity"})))
    assert too_much.outcome is Outcome.REFUSED
    elsewhere = (await found.search(number, "anhui"))["anhui"]
    assert elsewhere.outcome is Outcome.REFUSED


def without(folder: Path, file: str, policy_id: str) -> Path:
    """The policies without one of them."""
    shutil.copytree(POLICIES, folder)
    parts = re.split(r'(?m)^(?=@id\(")', (folder / file).read_text())
    (folder / file).write_text("".join(part for part in parts if not part.startswith(f'@id("{policy_id}")')))
    return folder


async def test_replay_reproduces_every_decision_and_shows_what_a_draft_changes(tmp_path: Path) -> None:
    """Both sides, while they run: nothing differs by the policies of the day; a draft without one permit does."""
    draft = without(tmp_path / "draft", "lookups.cedar", "fetch-identity")
    async with border(tmp_path / "homes") as found:
        await ask_all_kinds(found)
        asked, answered = found.federation.home("jiangxi"), found.federation.home("zhejiang")
        for home in (asked, answered, found.federation.home("anhui")):
            done = run("policy", "replay", "--home", home, "-o", "json")
            assert done.json["differing"] == done.json["without_inputs"] == []
            assert done.json["reproduced"] + sum(done.json["by_rule"].values()) == done.json["decisions"] >= 1
        actions = {
            each.request.action
            for kept in list_decisions(found.running["zhejiang"].node.database)
            for each in kept.asked
        }
        assert actions == {"lookup.case", "lookup.search", "lookup.fetch"}
        mine = run("policy", "replay", "--home", asked, "-o", "json").json
        # a case, two searches, a fetch and its reading, and the fetch that we refused ourselves
        assert mine["reproduced"] == 6
        assert mine["by_rule"] == {"officer-key-told": 1, "reply-to-own-request": 2}
        told = run("policy", "replay", "--home", asked).out
        assert "9 in the log, with 6 questions to policy" in told
        assert "3: officer-key-told 1, reply-to-own-request 2" in told

        changed = run("policy", "replay", "--home", answered, "--draft", draft, "-o", "json").json

        assert changed["differing"] == []
        (difference,) = changed["changed_by_draft"]
        assert difference["action"] == "lookup.fetch"
        assert difference["was"] == {"verdict": "allowed", "policies": ["fetch-identity"]}
        assert difference["now"] == {"verdict": "refused", "policies": ["default-deny"]}
        told = run("policy", "replay", "--home", answered, "--policies", draft).out
        assert "the draft changes: 1" in told


async def test_replay_of_a_store_that_was_changed_fails(tmp_path: Path) -> None:
    """A kept answer that the policies of the day do not give is a difference, and other policies are no policies."""
    async with border(tmp_path) as found:
        await found.open_case()
        home, node = found.federation.home("zhejiang"), found.running["zhejiang"].node
        (kept,) = list_decisions(node.database)
        stored = find_record(node.database, DECISION, kept.subject, replica=True)
        assert stored is not None
        content = zlib.decompress(stored.content)
        swapped = zlib.compress(content.replace(b'"verdict":"allowed"', b'"verdict":"refused"'))
        assert swapped != stored.content
        await node.sequencer.commit(lambda tx: put_records(tx, [replace(stored, version=2, content=swapped)]))

        done = run("policy", "replay", "--home", home, "-o", "json", code=1)

        assert [each["subject"] for each in done.json["differing"]] == [kept.subject]
        assert "differ: 1" in run("policy", "replay", "--home", home, code=1).out
        other = zlib.compress(content.replace(kept.book_digest.encode(), b"0" * 64))
        await node.sequencer.commit(lambda tx: put_records(tx, [replace(stored, version=3, content=other)]))
        with pytest.raises(CorruptError) as caught:
            replay(home, now=utc_now(), period=ALWAYS)
        assert caught.value.reason == "POLICIES_OTHER"


async def test_replay_of_a_period_leaves_out_the_rest(tmp_path: Path) -> None:
    """From a moment on, up to but without another."""
    async with border(tmp_path) as found:
        await found.open_case()
        home = found.federation.home("zhejiang")
        (kept,) = list_decisions(found.running["zhejiang"].node.database)
        later = kept.time + timedelta(milliseconds=1)

        def decisions(*arguments: str) -> int:
            return run("policy", "replay", "--home", home, *arguments, "-o", "json").json["decisions"]

        assert decisions("--from", format_time(kept.time), "--to", format_time(later)) == 1
        assert decisions("--from", format_time(later)) == 0
        assert decisions("--to", format_time(kept.time)) == 0
        assert "[TIME]" in run("policy", "replay", "--home", home, "--from", "yesterday", code=2).err


def test_replay_before_the_node_ever_ran_finds_no_store(tmp_path: Path) -> None:
    """A home without a store is left without one."""
    home = make_federation(tmp_path).home("zhejiang")

    with pytest.raises(NotFoundError) as caught:
        replay(home, now=utc_now(), period=ALWAYS)

    assert caught.value.reason == "STORE_MISSING"
    assert not list(home.glob("node.db*"))
