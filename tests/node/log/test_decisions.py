"""What policy was asked is kept with each message: the same questions, in the same transaction, naming nobody."""

from __future__ import annotations

import zlib

import pytest

from federation.node.exchange.receive import receive
from federation.node.log.decisions import DECISION, StoredDecision
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.form import replace
from federation.protocol.leaf import Verdict
from federation.protocol.policy import decide_afresh
from federation.protocol.policy.engine import encode_request
from federation.store.records import find_record, put_records
from tests.node.kept_decisions import list_decisions
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, running_rig, submission, sync_body, sync_item


def kept(rig: Rig) -> list[StoredDecision]:
    return list(list_decisions(rig[JIANGXI].database))


async def test_message_taken_in_keeps_what_policy_was_asked(tmp_path):
    """The question, its answer, the agreement's version and the digest of the policies stand under the statement."""
    async with running_rig(tmp_path) as rig:
        sent = submission(rig)
        await receive(rig[JIANGXI], sent, peer=ZHEJIANG)

        (decision,) = kept(rig)

        policies = rig[JIANGXI].trust.in_force.policies
        assert decision.subject == parse_envelope(sent.envelope).digest
        assert (decision.agreement_version, decision.book_digest) == (rig.agreement.version, policies.digest)
        (asked,) = decision.asked
        assert asked.verdict is Verdict.ALLOWED
        assert decide_afresh(policies, asked.request).policies == asked.policies


async def test_refused_message_keeps_what_policy_was_asked(tmp_path):
    """A refusal can be decided again as well as a yes."""
    async with running_rig(tmp_path) as rig:
        await receive(rig[JIANGXI], submission(rig, purpose="permit.check", function="F03"), peer=ZHEJIANG)

        (decision,) = kept(rig)

        assert [asked.verdict for asked in decision.asked] == [Verdict.REFUSED]


async def test_message_of_many_items_keeps_each_question_once(tmp_path):
    """A bulk of like items asks policy one thing, which is kept once."""
    async with running_rig(tmp_path) as rig:
        body = sync_body(*(sync_item(version) for version in range(1, 41)))
        await receive(rig[JIANGXI], submission(rig, body), peer=ZHEJIANG)

        (decision,) = kept(rig)

        assert len(decision.asked) == 1


async def test_repeated_message_keeps_its_first_decision(tmp_path):
    """The same bytes again add nothing."""
    async with running_rig(tmp_path) as rig:
        sent = submission(rig)
        await receive(rig[JIANGXI], sent, peer=ZHEJIANG)
        first = kept(rig)
        rig.clock.advance(seconds=5)
        await receive(rig[JIANGXI], sent, peer=ZHEJIANG)

        assert kept(rig) == first


async def test_message_not_judged_keeps_no_decision(tmp_path):
    """What fails before policy leaves nothing, of this neither."""
    async with running_rig(tmp_path) as rig:
        sent = submission(rig)
        with pytest.raises(BridgeheadError):
            await receive(rig[JIANGXI], replace(sent, body=sync_body()), peer=ZHEJIANG)

        assert kept(rig) == []


async def test_kept_question_names_no_person(tmp_path):
    """Neither name nor citizen number of the item is in the question."""
    async with running_rig(tmp_path) as rig:
        sent = submission(rig)
        await receive(rig[JIANGXI], sent, peer=ZHEJIANG)

        (decision,) = kept(rig)

        encoded = b"".join(encode_request(asked.request) for asked in decision.asked).decode()
        item = sync_item().decode()
        assert decision.asked
        assert "330822" in encoded
        for name in ("holder_name", "citizen_number", "birth_date"):
            value = item.split(f'"{name}":"')[1].split('"')[0]
            assert value not in encoded


async def test_damaged_decision_is_refused(tmp_path):
    """What is not of its form is never replayed half."""
    async with running_rig(tmp_path) as rig:
        node = rig[JIANGXI]
        await receive(node, submission(rig), peer=ZHEJIANG)
        (decision,) = kept(rig)
        stored = find_record(node.database, DECISION, decision.subject, replica=True)
        content = zlib.decompress(stored.content).replace(b'"verdict":"allowed"', b'"verdict":"perhaps"')
        for version, damaged in enumerate((zlib.compress(content), content, stored.content[:-1], b""), start=2):
            worse = replace(stored, version=version, content=damaged)
            await node.sequencer.commit(lambda tx, worse=worse: put_records(tx, [worse]))

            with pytest.raises(MalformedError) as caught:
                kept(rig)

            assert caught.value.reason == "DECISION_FORM"
