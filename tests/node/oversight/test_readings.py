"""Who read what: an audit office sees all of its province, a case's leader the case; nobody else, and never a person."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.oversight import ReadingKind, decode_reading, readings_bytes
from federation.node.exchange.errand import begin_errand
from federation.node.oversight import flags, readings
from federation.node.readings import read_lookup
from federation.protocol.errors import CorruptError, NotFoundError, RuleError, UntrustedError
from federation.protocol.form import encode
from federation.protocol.ids import parse_agency_id
from federation.wire.agency.oversight import FlagQuery, ReadingQuery
from federation.wire.rpc import Act
from tests.node.retention.released import CASE, FIELDS, NUMBER, PERSON, PURPOSE, Border, released
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, register_key

AUDIT = parse_agency_id("jiangxi/360000/audit")


def acting(officer: str) -> Act:
    found = act("lookup.oversight", "F03")
    return Act(request_id=found.request_id, purpose=found.purpose, function=found.function, officer=officer)


async def register(found: Border, officer: str) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    await register_key(found.rig[JIANGXI], YUSHAN_POLICE, officer, key=f"ed25519:{public}")
    return key


def signed(key: Ed25519PrivateKey, *, reader: str = "leader-1", case_id: str = CASE) -> ReadingQuery:
    signature = base64.b64encode(key.sign(readings_bytes(YUSHAN_POLICE, case_id, reader=reader))).decode()
    return ReadingQuery(case_id=case_id, signature=signature)


async def test_audit_office_sees_every_reading_newest_first_page_by_page(tmp_path: Path) -> None:
    """The fetch, its reading again, and the lists of the watch: time, officer, what, look-up, names of fields."""
    async with released(tmp_path) as found:
        node = found.rig[JIANGXI]
        found.rig.clock.advance(seconds=1)
        await read_lookup(begin_errand(node, YUSHAN_POLICE, act(PURPOSE, "F03")), found.lookup_id)
        found.rig.clock.advance(seconds=1)
        await flags.list_flags(begin_errand(node, YUSHAN_POLICE, acting("leader-1")), FlagQuery(officer="officer-1"))
        seen, token = [], ""
        while True:
            found.rig.clock.advance(seconds=1)
            page = await readings.list_readings(
                begin_errand(node, AUDIT, acting("auditor-1")), ReadingQuery(page_size=2, page_token=token)
            )
            seen += page.readings
            token = page.next_page_token
            if not token:
                break

        own, listed, again, first = seen
        assert (own.kind, own.agency, own.officer) == (ReadingKind.READINGS, AUDIT, "auditor-1")
        assert (listed.kind, listed.officer, listed.about) == (ReadingKind.FLAGS, "leader-1", "officer-1")
        assert (again.kind, again.officer, again.lookup_id, again.case_id, again.node, again.fields) == (
            ReadingKind.RELEASED, "officer-1", found.lookup_id, CASE, ZHEJIANG, FIELDS,
        )  # fmt: skip
        assert (first.lookup_id, first.time < again.time) == (found.lookup_id, True)
        assert NUMBER not in repr(seen)
        assert PERSON.holder.name not in repr(seen)


async def test_audit_office_narrows_by_case_and_officer(tmp_path: Path) -> None:
    """Each alone and together; what is not there is an empty page."""
    async with released(tmp_path) as found:
        node = found.rig[JIANGXI]
        await flags.list_flags(begin_errand(node, YUSHAN_POLICE, acting("leader-1")), FlagQuery())

        async def kinds(**narrowed: str) -> list[str]:
            page = await readings.list_readings(
                begin_errand(node, AUDIT, acting("auditor-1")), ReadingQuery(**narrowed)
            )
            return [one.kind.value for one in page.readings]

        assert await kinds(case_id=CASE) == ["released"]
        assert await kinds(officer="leader-1") == ["flags"]
        assert await kinds(case_id=CASE, officer="leader-1") == []
        assert await kinds(case_id="CASE-2026-0009") == []


async def test_leader_sees_the_readings_of_the_case_with_their_own_key(tmp_path: Path) -> None:
    """Those in the case, none of the office's lists nor of another case."""
    async with released(tmp_path) as found:
        node, key = found.rig[JIANGXI], await register(found, "leader-1")
        await flags.list_flags(begin_errand(node, YUSHAN_POLICE, acting("leader-1")), FlagQuery())
        await found.open_case("CASE-2026-0002")

        page = await readings.list_readings(begin_errand(node, YUSHAN_POLICE, acting("leader-1")), signed(key))
        other = await readings.list_readings(
            begin_errand(node, YUSHAN_POLICE, acting("leader-1")), signed(key, case_id="CASE-2026-0002")
        )

        assert [(one.kind, one.lookup_id) for one in page.readings] == [(ReadingKind.RELEASED, found.lookup_id)]
        assert other.readings == ()


async def test_readings_are_shown_to_nobody_else(tmp_path: Path) -> None:
    """No case, another officer, a certificate without the key, another's key, another office: each is refused."""
    async with released(tmp_path) as found:
        node, key = found.rig[JIANGXI], await register(found, "leader-1")
        other = await register(found, "officer-9")

        with pytest.raises(RuleError, match="READINGS_READER"):
            await readings.list_readings(begin_errand(node, YUSHAN_POLICE, acting("leader-1")), ReadingQuery())
        with pytest.raises(RuleError, match="READINGS_READER"):
            await readings.list_readings(
                begin_errand(node, YUSHAN_POLICE, acting("officer-9")), signed(other, reader="officer-9")
            )
        for query in (ReadingQuery(case_id=CASE), signed(other), signed(key, case_id="CASE-2026-0002")):
            with pytest.raises((UntrustedError, NotFoundError), match=r"OFFICER_KEY|CASE_UNKNOWN"):
                await readings.list_readings(begin_errand(node, YUSHAN_POLICE, acting("leader-1")), query)
        with pytest.raises(NotFoundError, match="CASE_UNKNOWN"):
            await readings.list_readings(
                begin_errand(node, parse_agency_id("jiangxi/361130/police"), acting("leader-1")), signed(key)
            )
        page = await readings.list_readings(begin_errand(node, AUDIT, acting("auditor-1")), ReadingQuery())
        kinds = [one.kind for one in page.readings]
        assert kinds.count(ReadingKind.READINGS) == 1  # who is refused has read nothing


async def test_decode_reading_of_another_kind_is_corrupt(tmp_path: Path) -> None:
    """What the store holds is what was written; anything else is said."""
    async with released(tmp_path) as found:
        page = await readings.list_readings(
            begin_errand(found.rig[JIANGXI], AUDIT, acting("auditor-1")), ReadingQuery()
        )
        for one in page.readings:
            assert decode_reading(encode(one)) == one
        with pytest.raises(CorruptError, match="READING_KIND"):
            decode_reading(encode(page.readings[0]).replace(b'"kind":"', b'"kind":"un'))
