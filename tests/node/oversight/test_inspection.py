"""Inspection: an audit office by its kind, a procuratorate by a mandate of two persons; each reading is in the log."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.oversight import Mandate, ReadingKind, mandate_bytes
from federation.node.exchange.errand import begin_errand
from federation.node.oversight import readings
from federation.node.ports import _list_messages
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError, RuleError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.statement import Statement, decode_statement
from federation.store.log_reader import load_entries, load_head
from federation.wire.agency.audit import Direction, MessageQuery
from federation.wire.agency.oversight import ReadingQuery
from federation.wire.rpc import Act
from tests.node.retention.released import CASE, Border, released
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, register_key

AUDIT = parse_agency_id("jiangxi/360000/audit")
PROCURATORATE = parse_agency_id("jiangxi/361123/procuratorate")
Keys = Mapping[str, Ed25519PrivateKey]


def acting(officer: str) -> Act:
    found = act("audit.exchange", "F01")
    return Act(request_id=found.request_id, purpose=found.purpose, function=found.function, officer=officer)


async def enrol(found: Border, agency: AgencyId = PROCURATORATE) -> Keys:
    """Two persons of the office, each with a registered key."""
    keys = {officer: Ed25519PrivateKey.generate() for officer in ("first-1", "second-1")}
    for officer, key in keys.items():
        public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        await register_key(found.rig[JIANGXI], agency, officer, key=f"ed25519:{public}")
    return keys


def a_mandate(found: Border, **changes: object) -> Mandate:
    now = found.rig.clock()
    whole = Mandate(
        agency=PROCURATORATE, document="玉检监〔2126〕7号", start=now - timedelta(days=1), end=now + timedelta(days=1),
        made=now, first="first-1", second="second-1", case_id=CASE,
    )  # fmt: skip
    return replace(whole, **changes)


def signed(mandate: Mandate, keys: Keys) -> bytes:
    text = mandate_bytes(mandate)
    signatures = [base64.b64encode(keys[who].sign(text)).decode() for who in (mandate.first, mandate.second)]
    return encode(replace(mandate, signatures=tuple(signatures)))


async def messages(found: Border, agency: AgencyId, mandate: bytes = b"", officer: str = "first-1") -> list[Statement]:
    """What is listed of both directions with the other province."""
    listed = []
    for direction in Direction:
        query = MessageQuery(direction=direction, peer=ZHEJIANG, mandate=mandate)
        page = await _list_messages(begin_errand(found.rig[JIANGXI], agency, acting(officer)), query)
        listed += [decode_statement(parse_envelope(each.envelope).payload) for each in page.messages]
    return listed


def leaves(found: Border, kind: LeafKind) -> int:
    source = found.rig[JIANGXI].database
    entries = load_entries(source, 0, load_head(source).size)
    return sum(decode_leaf(entry).kind is kind for entry in entries)


async def test_each_list_of_messages_is_a_reading_in_the_log(tmp_path: Path) -> None:
    """The auditor's own reading stands in the log before anything is shown, and in the list of readings after it."""
    async with released(tmp_path) as found:
        before = leaves(found, LeafKind.READING)
        assert await messages(found, AUDIT, officer="auditor-1")
        assert leaves(found, LeafKind.READING) == before + 2

        query = ReadingQuery(officer="auditor-1")
        page = await readings.list_readings(begin_errand(found.rig[JIANGXI], AUDIT, acting("auditor-2")), query)
        assert {(one.kind, one.about) for one in page.readings} == {
            (ReadingKind.MESSAGES, "sent zhejiang 0"), (ReadingKind.MESSAGES, "received zhejiang 0"),
        }  # fmt: skip


async def test_procuratorate_reads_by_a_mandate_of_two_persons(tmp_path: Path) -> None:
    """The messages and the readings of the case named, of its own county, and the document in the record of it."""
    async with released(tmp_path) as found:
        keys = await enrol(found)
        mandate = signed(a_mandate(found), keys)
        found.rig.clock.advance(seconds=1)

        listed = await messages(found, PROCURATORATE, mandate)
        errand = begin_errand(found.rig[JIANGXI], PROCURATORATE, acting("second-1"))
        page = await readings.list_readings(errand, ReadingQuery(mandate=mandate))

        assert listed
        assert {(each.case, each.sender.agency) for each in listed if each.sender.node == JIANGXI} == {
            (CASE, YUSHAN_POLICE)
        }
        assert {(one.kind, one.case_id) for one in page.readings} == {(ReadingKind.RELEASED, CASE)}
        every = await readings.list_readings(
            begin_errand(found.rig[JIANGXI], AUDIT, acting("auditor-1")), ReadingQuery()
        )
        about = {one.about for one in every.readings if one.agency == PROCURATORATE}
        assert "sent zhejiang 0 玉检监〔2126〕7号 first-1 second-1" in about


async def test_window_county_and_narrowing_bound_what_is_shown(tmp_path: Path) -> None:
    """Yesterday's window, another case and a procuratorate of another county hold nothing of it."""
    async with released(tmp_path) as found:
        keys, now = await enrol(found), found.rig.clock()
        for changes in ({"end": now - timedelta(hours=23)}, {"case_id": "YS-2126-9999"}, {"officer": "nobody"}):
            assert await messages(found, PROCURATORATE, signed(a_mandate(found, **changes), keys)) == []
        elsewhere = readings.Inspection(None, "361102")
        assert not any(elsewhere.has_message(each, JIANGXI) for each in await messages(found, AUDIT))


UNLAWFUL = [
    ({"second": "first-1"}, "MANDATE"),
    ({"agency": YUSHAN_POLICE}, "MANDATE"),
    ({"made": timedelta(days=-31)}, "MANDATE"),
    ({"start": timedelta(days=9)}, "MANDATE"),
    ({"first": "second-1", "second": "third-1"}, "MANDATE"),
    ({"signatures": ()}, "MANDATE"),
    ({"document": "玉检监〔2126〕8号"}, "OFFICER_KEY"),
    ({"second": "third-1"}, "OFFICER_KEY"),
]
"""Changes of a mandate after both signed it, a time from now on, and what is refused of it."""


async def test_mandate_that_is_not_of_two_persons_of_the_office_opens_nothing(tmp_path: Path) -> None:
    """One person, another office, too old, no time in it, somebody else's, unsigned, changed, unregistered: each a no."""
    async with released(tmp_path) as found:
        keys, now = await enrol(found), found.rig.clock()
        both = decode(Mandate, signed(a_mandate(found), keys))
        opened = [
            (encode(replace(both, **{n: now + v if isinstance(v, timedelta) else v for n, v in changes.items()})), why)
            for changes, why in UNLAWFUL
        ]
        for mandate, reason in [*opened, (signed(a_mandate(found, case_id=""), keys), "INSPECTION")]:
            before = leaves(found, LeafKind.REFUSED), leaves(found, LeafKind.READING)
            with pytest.raises(BridgeheadError) as refused:
                await messages(found, PROCURATORATE, mandate)

            assert refused.value.reason == reason
            assert (leaves(found, LeafKind.REFUSED), leaves(found, LeafKind.READING)) == (before[0] + 1, before[1])


async def test_procuratorate_without_a_mandate_is_told_what_is_missing(tmp_path: Path) -> None:
    """Policy's no comes in both languages, for messages and for readings."""
    async with released(tmp_path) as found:
        errand = begin_errand(found.rig[JIANGXI], PROCURATORATE, acting("first-1"))
        for ask in (partial(messages, found, PROCURATORATE), partial(readings.list_readings, errand, ReadingQuery())):
            with pytest.raises(RuleError, match=r"两人签署.* \| .*two persons signed") as refused:
                await ask()
            assert refused.value.reason == "INSPECTION"


async def test_two_names_with_one_key_are_one_person(tmp_path: Path) -> None:
    """A mandate that one person signed under two names is refused."""
    async with released(tmp_path) as found:
        key = Ed25519PrivateKey.generate()
        public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        for officer in ("first-1", "second-1"):
            await register_key(found.rig[JIANGXI], PROCURATORATE, officer, key=f"ed25519:{public}")

        with pytest.raises(RuleError) as refused:
            await messages(found, PROCURATORATE, signed(a_mandate(found), {"first-1": key, "second-1": key}))

        assert refused.value.reason == "SAME_PERSON"
