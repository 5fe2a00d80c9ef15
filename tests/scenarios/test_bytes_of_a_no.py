"""What is refused or not found leaves none of the person's fields: not on the wire either way, not in the clear in a store.

What is asserted: of the request, no field of the person but the selector, once, in the body of the search that names it
(it travels inside TLS; the asker knows it already, and the answering side does not send it back); of the answer, no field
at all; of both stores' files, with their logs of recent writes, no field at all, the selector neither. A field counts as
there in any usual form: UTF-8, UTF-16, GB 18030, JSON and URL escapes, base64 at any offset, dates as people write them.
The permit's own name, which says county, year and a serial, is what the owner's store finds the record by: it is in that
store, and on no wire. Fields of few values that many share (sex, status, ethnicity, ground, county codes, serials) say nothing of a person by
themselves, and words such as `valid` stand in other things.
"""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from federation.cli.demo.synthetic import synthetic_applications
from federation.domain.lookups import Outcome
from federation.domain.permits import PERMIT_FIELDS, Permit, decode_permit, project_permit
from federation.node.permits_sharing import PERMIT, put_own_permits
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.receipt import Answer, Submission
from federation.store.records import find_by_subject
from federation.wire.agency.lookups import FETCH
from federation.wire.gatekeeper import calling
from federation.wire.peer import SUBMIT
from federation.wire.rpc import Rpc
from tests.node.lookups.desks import Desks, open_desks
from tests.node.lookups.hostile import Ask, CaseState
from tests.node.rig import JIANGXI, ZHEJIANG
from tests.scenarios.test_lookup import Border, act, border

OF_MANY = frozenset(
    {
        "version",
        "status",
        "sex",
        "ethnicity",
        "ground",
        "issuer",
        "residence_division",
        "household_division",
        "work_division",
    }
)
DATES = ("birth_date", "residence_since")
"""The other dates are the day of the test itself, which every message bears."""


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    async with open_desks(tmp_path) as made:
        yield made


def fields_of(permit: Permit) -> Mapping[str, str]:
    item = project_permit(permit, frozenset(PERMIT_FIELDS))
    texts = {name: str(getattr(item, name)) for name in PERMIT_FIELDS if name not in OF_MANY and getattr(item, name)}
    same_day = [name for name, text in texts.items() if text == permit.issue_date.isoformat()]
    return {name: text for name, text in texts.items() if name not in (*same_day, "counted_from", "endorsed_until")}


def forms_of(name: str, text: str) -> Iterator[bytes]:
    """Every usual way to write a value down."""
    texts = [text]
    if name in DATES:
        day = date.fromisoformat(text)
        texts += [f"{day:%Y%m%d}", f"{day:%Y/%m/%d}", f"{day:%Y.%m.%d}", f"{day.year}年{day.month}月{day.day}日"]
    for each in texts:
        raw = each.encode()
        yield raw
        yield from (each.encode(code) for code in ("utf-16-le", "utf-16-be", "gb18030"))
        yield json.dumps(each)[1:-1].encode()
        yield urllib.parse.quote(each).encode()
        for shift in range(3 if len(raw) >= 8 else 0):
            encoded = base64.b64encode(bytes(shift) + raw + bytes(2 - shift))
            yield encoded[4 if shift else 0 : -4]


def found_in(blob: bytes, permit: Permit) -> list[str]:
    return [
        name
        for name, text in fields_of(permit).items()
        if any(form in blob for form in forms_of(name, text) if len(form) > 5)
    ]


def in_store(blob: bytes, permit: Permit) -> list[str]:
    return [name for name in found_in(blob, permit) if name != "urn"]


def stored(desks: Desks, name: NodeName) -> bytes:
    files = sorted(desks.rig.folder.glob(f"{name}.db*"))
    assert any(path.name.endswith("-wal") for path in files)
    return b"\n".join(path.read_bytes() for path in files)


def listen(desks: Desks, sender: NodeName, recipient: NodeName) -> list[bytes]:
    """Every receipt that comes back for what the sender brings, as bytes."""
    told: list[bytes] = []

    def keep(answers: Sequence[Answer]) -> Sequence[Answer]:
        told.extend(
            str(each).encode() if isinstance(each, BridgeheadError) else each.leaf + each.proof for each in answers
        )
        return answers

    desks.rig.faults(sender, recipient).alter = keep
    return told


HALL_ASKS = Ask(asker=AgencyId(Ask().asker.node, Ask().asker.county, "service-hall"))
NOES: Mapping[str, tuple[Ask, CaseState | None, str]] = {
    "own policy, other office": (HALL_ASKS, None, "deny-lookup-not-police"),
    "own policy, other purpose": (Ask(purpose="permit.check"), None, "deny-lookup-function"),
    "own policy, no case": (Ask(case=CaseState.NONE), None, "deny-lookup-no-case"),
    "own policy, too many fields": (Ask(fields=frozenset(PERMIT_FIELDS)), None, "default-deny"),
    "the other's policy, unknown case": (Ask(), CaseState.NONE, "deny-lookup-no-case"),
    "the other's policy, closed case": (Ask(), CaseState.CLOSED, "deny-lookup-no-case"),
    "hidden by policy, other county": (Ask(), CaseState.OTHER_COUNTY, "no_hit"),
}
"""The ask, how its case stands at the province asked if otherwise, and what one of the two steps is refused by."""


@pytest.mark.parametrize("asked", NOES)
async def test_no_leaves_no_field_on_the_wire_and_none_in_clear_in_the_stores(desks: Desks, asked: str) -> None:
    """Refused by our own policy, by the other's, or hidden by it: the bytes say nothing of the person."""
    ask, told, reason = NOES[asked]
    back = listen(desks, JIANGXI, ZHEJIANG) + listen(desks, ZHEJIANG, JIANGXI)

    assert await desks.ask(ask, told=told) == {}
    await desks.rig.drain()

    assert reason in desks.noes
    check_bytes(desks, b"\n".join(back))


@pytest.mark.parametrize("sealed", [True, False])
async def test_no_hit_leaves_no_field_on_the_wire_and_none_in_clear_in_the_stores(desks: Desks, sealed: bool) -> None:
    """The record is sealed, or there is none: either way no hit, and the two cannot be told apart by what is said."""
    sealed_permit = replace(desks.permit, sealed=True, version=desks.permit.version + 1)
    if sealed:
        await desks.rig[ZHEJIANG].sequencer.commit(
            lambda tx: put_own_permits(tx, [sealed_permit], owner=ZHEJIANG, before=desks.permit.version)
        )
    else:
        number = next(
            iter(synthetic_applications(ZHEJIANG, 5, seed=99, today=desks.permit.issue_date))
        ).holder.citizen_number
        holder = replace(desks.permit.holder, citizen_number=number)
        desks.permit = replace(desks.permit, holder=holder)
    back = listen(desks, JIANGXI, ZHEJIANG) + listen(desks, ZHEJIANG, JIANGXI)

    assert await desks.ask(Ask()) == {}
    await desks.rig.drain()

    assert desks.noes[0] == "no_hit"
    check_bytes(desks, b"\n".join(back))


async def test_these_bytes_show_a_field_that_is_released(desks: Desks) -> None:
    """The measure works: what policy releases is found on the wire, by name, and still not in clear in a store."""
    released = await desks.ask(Ask(fields=frozenset({"holder_name", "birth_date"})))
    await desks.rig.drain()

    assert released.keys() == {"holder_name", "birth_date"}
    assert set(found_in(desks.rig.carried(ZHEJIANG, JIANGXI), desks.permit)) == {"holder_name", "birth_date"}
    for name in (ZHEJIANG, JIANGXI):
        assert in_store(stored(desks, name), desks.permit) == []


def check_bytes(desks: Desks, told_back: bytes) -> None:
    number = desks.permit.holder.citizen_number.encode()
    there, back = desks.rig.carried(JIANGXI, ZHEJIANG), desks.rig.carried(ZHEJIANG, JIANGXI)
    assert there.count(number) <= 1, "only the search names it, and once"
    assert found_in(there.replace(number, b""), desks.permit) == []
    assert found_in(back, desks.permit) == []
    assert found_in(told_back, desks.permit) == []
    for name in (ZHEJIANG, JIANGXI):
        assert in_store(stored(desks, name), desks.permit) == [], name


async def test_no_over_tls_leaves_no_field_in_the_messages_of_the_rpc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four nodes on their ports: the protobuf bytes of every submission and answer, and all eight files of the stores."""
    requests: list[tuple[str, bytes]] = []
    answers: list[bytes] = []

    decode, encode = Rpc.decode_question, Rpc.encode_answer

    def decoded(rpc, request):
        act, question = decode(rpc, request)
        if rpc is SUBMIT:
            requests.append((calling().node, request.SerializeToString() + b"".join(map(_opened, question))))
        return act, question

    def encoded(rpc, answer):
        response = encode(rpc, answer)
        if rpc is SUBMIT:
            answers.append(response)
        return response

    monkeypatch.setattr(Rpc, "decode_question", decoded)
    monkeypatch.setattr(Rpc, "encode_answer", encoded)
    async with border(tmp_path) as found:
        number = found.application.holder.citizen_number
        await found.open_case(counties=("330824", "341022"))
        before = len(requests)
        outcomes = {name: each.outcome for name, each in (await found.search(number, "zhejiang", "anhui")).items()}
        assert outcomes == {"zhejiang": Outcome.NO_HIT, "anhui": Outcome.NO_HIT}
        refused = await found.police.call(FETCH, act(), found.fetch_question("x" * 32, frozenset({"ethnicity"})))
        assert refused.outcome is Outcome.REFUSED
        permit = _permit_of(found)
        files = [path for name in found.federation.homes for path in found.federation.home(name).glob("node.db*")]
        store = b"\n".join(path.read_bytes() for path in files)
    asked = [blob for sender, blob in requests[before:] if sender == "jiangxi"]
    assert len(asked) == 2
    assert all(blob.count(number.encode()) == 2 for blob in asked)  # once in the message, once where it is opened here
    assert found_in(b"\n".join(asked).replace(number.encode(), b""), permit) == []
    assert found_in(b"\n".join(blob for sender, blob in requests if sender != "jiangxi"), permit) == []
    assert found_in(b"\n".join(answers), permit) == []
    assert in_store(store, permit) == []


def _opened(submission: Submission) -> bytes:
    """A statement lies in base64 in its envelope, and a body may be packed."""
    items = submission.body.items if submission.body is not None else ()
    return b"\n".join((parse_envelope(submission.envelope).payload, *items))


def _permit_of(found: Border) -> Permit:
    number = found.application.holder.citizen_number
    (record,) = find_by_subject(found.running["zhejiang"].node.database, PERMIT, number)
    return decode_permit(record.content)
