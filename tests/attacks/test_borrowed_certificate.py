"""An office's certificate in the hands of a colleague who gives another officer's name, and her request ids.

Real nodes and ports. Whoever holds the certificate can call; that it is she who acts is shown by her own key alone.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.cli.lookups import sign_fetch
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.node.serve import Running, running_node
from federation.protocol.errors import UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.keys import Ed25519Signer, Signer
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.wire.agency.lookups import (
    CLOSE_CASE,
    FETCH,
    LIST_LOOKUPS,
    OPEN_CASE,
    READ_LOOKUP,
    SEARCH,
    CaseQuestion,
    FetchQuestion,
    LookupQuery,
    LookupQuestion,
)
from federation.wire.agency.oversight import GET_DAILY_DIGEST, DigestQuestion
from federation.wire.agency.permits import REGISTER_PERMIT
from federation.wire.client import AgencyClient
from federation.wire.rpc import SIGNATURE_KEY, Act, OwnKey, act_text
from federation.wire.status import error_of_call
from tests.node.rig import application
from tests.scenarios.provinces import ISLAND, Federation, make_federation
from tests.wire import calls

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
CASE, LEADER, SHE, COLLEAGUE = "YS-2026-0001", "leader-1", "officer-1", "officer-2"
PURPOSE = "lookup.criminal_investigation"
FIELDS = frozenset({"holder_name", "status"})
STRANGER = Ed25519Signer(b"\x07" * 32)


def act(officer: str = SHE, *, request_id: str = "", purpose: str = PURPOSE, function: str = "F03") -> Act:
    return Act(request_id=request_id or str(uuid.uuid4()), purpose=purpose, function=function, officer=officer)


@dataclass
class Scene:
    """She asked in an open case and fetched two fields."""

    federation: Federation
    police: AgencyClient
    jiangxi: Running
    lookup_id: str
    fetch: FetchQuestion
    fetched: str

    @contextlib.asynccontextmanager
    async def borrowed(self, sign: Callable[[str], Signer | None]) -> AsyncIterator[AgencyClient]:
        """The office's certificate with somebody else's key, or with none."""
        client = AgencyClient(self.federation.profile(calls.POLICE), sign=sign)
        try:
            yield client
        finally:
            await client.close()


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    federation = make_federation(folder)
    person = application()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(running_node(federation.home("zhejiang"), island=ISLAND))
        jiangxi = await stack.enter_async_context(running_node(federation.home("jiangxi"), island=ISLAND))
        hall = await stack.enter_async_context(federation.client("zhejiang/330822/service-hall"))
        police = await stack.enter_async_context(federation.client(str(calls.POLICE)))
        registering = act("clerk-1", purpose="permit.administration", function="F02")
        assert (await hall.call(REGISTER_PERMIT, registering, person)).permit is not None
        case = CaseQuestion(
            case_id=CASE, letter="玉公协〔2026〕1号", counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}),
            days=30, leader=LEADER,
        )  # fmt: skip
        assert (await police.call(OPEN_CASE, act(LEADER), case)).decision.allowed
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=person.holder.citizen_number)
        found = await police.call(SEARCH, act(), LookupQuestion(case_id=CASE, selector=selector, provinces=(ZHEJIANG,)))
        assert found.answers[0].handle is not None, found
        key = federation.key(SHE, agency=calls.POLICE)
        fetch = sign_fetch(key, case_id=CASE, node=ZHEJIANG, handle=found.answers[0].handle, fields=FIELDS)
        fetched = str(uuid.uuid4())
        released = await police.call(FETCH, act(request_id=fetched), fetch)
        assert released.outcome is Outcome.HIT, released
        federation.key(COLLEAGUE, agency=calls.POLICE)
        yield Scene(federation, police, jiangxi, found.lookup_id, fetch, fetched)


async def test_released_fields_request_id_case_and_day_are_hers_alone(tmp_path: Path) -> None:
    """By her name without a signature, with a stranger's, with a colleague's: a no each, and a leaf of each no."""
    async with scene(tmp_path) as found:
        forged = replace(found.fetch, officer_signature=calls.SIGNATURE)
        hers = (
            (READ_LOOKUP, act(), found.lookup_id),
            (FETCH, act(request_id=found.fetched), found.fetch),
            (FETCH, act(request_id=found.fetched), forged),
            (CLOSE_CASE, act(), CASE),
            (CLOSE_CASE, act(LEADER), CASE),
            (GET_DAILY_DIGEST, act(), DigestQuestion()),
            (LIST_LOOKUPS, act(), LookupQuery()),
        )
        colleague = found.federation.key(COLLEAGUE, agency=calls.POLICE)
        size = found.jiangxi.node.sequencer.head.size
        for key in (None, STRANGER, colleague):
            async with found.borrowed(lambda _, key=key: key) as client:
                for rpc, acting, question in hers:
                    with pytest.raises(UntrustedError, match="OFFICER_KEY"):
                        await client.call(rpc, acting, question)
        leaves = load_entries(found.jiangxi.node.database, size, found.jiangxi.node.sequencer.head.size - size)
        noes = [leaf for leaf in map(decode_leaf, leaves) if leaf.policies == ("rule-officer-key",)]
        assert {leaf.kind for leaf in noes} == {LeafKind.REFUSED}
        assert len(noes) == len({acting.request_id for _, acting, _ in hers})  # one leaf a request, however often

        steps = (await found.police.call(READ_LOOKUP, act(), found.lookup_id)).steps
        assert {name for step in steps for name in step.fields} == FIELDS
        assert (await found.police.call(FETCH, act(request_id=found.fetched), found.fetch)).fields
        seen = (await found.police.call(READ_LOOKUP, act(COLLEAGUE), found.lookup_id)).steps
        assert not any(step.fields or step.handle for step in seen)


async def test_her_signature_of_one_call_opens_no_other(tmp_path: Path) -> None:
    """Who overheard one signature has that call again, and not another question, id or RPC."""
    async with scene(tmp_path) as found:
        key, acting = found.federation.key(SHE, agency=calls.POLICE), act()
        sent = READ_LOOKUP.encode_question(acting, found.lookup_id).SerializeToString()
        signature = key.sign(act_text(READ_LOOKUP.path, calls.POLICE, acting, request=sent))
        other = act()
        channel = found.police._channel.current()

        async def send(path: str, request: bytes) -> str:
            call = channel.unary_unary(path, response_deserializer=READ_LOOKUP.response.FromString)
            try:
                await call(request, timeout=60, metadata=((SIGNATURE_KEY, signature),))
            except Exception as error:  # noqa: BLE001 - the status is what is looked at
                return error_of_call(error).reason
            return "answered"

        assert await send(READ_LOOKUP.path, sent) == "answered"
        for path, request in (
            (READ_LOOKUP.path, READ_LOOKUP.encode_question(other, found.lookup_id).SerializeToString()),
            (READ_LOOKUP.path, READ_LOOKUP.encode_question(acting, calls.LOOKUP_ID).SerializeToString()),
            (READ_LOOKUP.path, sent + b"\x7a\x01x"),
            (CLOSE_CASE.path, CLOSE_CASE.encode_question(acting, CASE).SerializeToString()),
        ):
            assert await send(path, request) == "OFFICER_KEY"


@pytest.fixture
async def jiangxi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Federation]:
    federation = make_federation(tmp_path)
    shutil.rmtree(federation.home("jiangxi") / "heads", ignore_errors=True)
    monkeypatch.setenv("BRIDGEHEAD_DATABASE", f"sqlite:///{tmp_path}/node.db")
    async with running_node(federation.home("jiangxi"), island=ISLAND):
        yield federation


async def test_every_signed_rpc_of_the_table_refuses_another_key(jiangxi: Federation) -> None:
    """The gate reads the line: no step is reached without the officer's own signature, whatever the RPC."""
    acting = replace(calls.ACT, purpose=PURPOSE)
    for call in calls.CALLS:
        if call.rpc.signed is OwnKey.NEVER:
            continue
        async with contextlib.AsyncExitStack() as stack:
            client = AgencyClient(jiangxi.profile(call.caller), sign=lambda _: STRANGER)
            stack.push_async_callback(client.close)
            jiangxi.key(calls.ACT.officer, agency=call.caller)
            expected = "ADMINISTRATOR_KEY" if call.rpc.signed is OwnKey.ADMINISTRATOR else "OFFICER_KEY"
            with pytest.raises(UntrustedError, match=expected):
                if call.rpc.stream:
                    async for _ in client.watch(call.rpc, acting, call.question):
                        break
                else:
                    await client.call(call.rpc, acting, call.question)
