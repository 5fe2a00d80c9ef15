"""Who gets what of a permit: each entitled province exactly its fields, the others not even a name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from federation.domain.permits import PermitApplication, PermitItem, PermitUrn, RevokeReason, decode_permit_item
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair, Realm
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.store.messages import list_messages
from federation.store.records import Record, find_by_subject, find_record, list_records
from federation.wire.agency.permits import PermitRevocation
from tests.node.rig import ANHUI, FUJIAN, HALL, JIANGXI, ZHEJIANG, Rig, act, application

HOUSEHOLD_FIELDS = {
    "urn", "version", "status", "residence_division", "issuer", "residence_address", "household_division",
    "household_address", "holder_name", "sex", "birth_date", "citizen_number", "ground", "issue_date", "counted_from",
    "endorsed_until",
}  # fmt: skip
WORK_FIELDS = {
    "urn", "version", "status", "residence_division", "issuer", "work_division", "holder_name", "citizen_number",
    "ground", "issue_date", "counted_from", "endorsed_until",
}  # fmt: skip


async def registered(rig: Rig, applicant: PermitApplication) -> PermitUrn:
    """Registers, and waits until everything that goes out of it has arrived."""
    answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), applicant)
    assert answer.permit is not None, answer.decision
    await rig.drain()
    return answer.permit.urn


def copy_at(rig: Rig, name: NodeName, urn: PermitUrn) -> Record | None:
    return find_record(rig[name].database, "permit", urn, replica=True)


def fields_of(record: Record) -> set[str]:
    item = decode_permit_item(record.content, Realm.DEMO)
    return {name for name in PermitItem.__struct_fields__ if getattr(item, name) is not None}


def personal(applicant: PermitApplication) -> list[bytes]:
    holder = applicant.holder
    return [each.encode() for each in (holder.citizen_number, holder.name, holder.household_address)]


def require_nothing(rig: Rig, names: Sequence[NodeName], applicant: PermitApplication, urn: PermitUrn) -> None:
    """Neither the store nor the line of those provinces ever held anything of it."""
    for name in names:
        assert rig.faults(ZHEJIANG, name).carried == []
        assert rig[name].sequencer.head.size == 0
        assert copy_at(rig, name, urn) is None
        assert find_by_subject(rig[name].database, "permit", applicant.holder.citizen_number) == []
        assert list_records(rig[name].database, "permit", after_id="", limit=10, replica=True) == []
        stored = rig.hosts[name].path.read_bytes()
        assert not [each for each in personal(applicant) if each in stored]
    sent = [
        list_messages(rig[ZHEJIANG].database, "sent", pair=Pair(ZHEJIANG, name), after_seq=0, limit=9) for name in names
    ]
    assert not any(sent)


async def test_household_province_gets_its_fields_and_no_others(four: Rig) -> None:
    """居住证暂行条例 article 7: the household province gets the fields of the card, not ethnicity, photo or work."""
    four.start_delivery()
    applicant = application()
    urn = await registered(four, applicant)

    record = copy_at(four, JIANGXI, urn)
    assert record is not None
    assert fields_of(record) == HOUSEHOLD_FIELDS
    assert (record.owner, record.version, record.replica) == (ZHEJIANG, 1, True)
    assert applicant.holder.photo_digest.encode() not in four.carried(ZHEJIANG, JIANGXI)
    assert b'"ethnicity"' not in four.carried(ZHEJIANG, JIANGXI)
    require_nothing(four, (FUJIAN, ANHUI), applicant, urn)


async def test_work_province_gets_its_fields_and_no_others(four: Rig) -> None:
    """The province of work gets what it needs to count the permit, and neither birth date nor addresses."""
    four.start_delivery()
    applicant = replace(application(), work_division="350782")
    urn = await registered(four, applicant)

    at_household, at_work = copy_at(four, JIANGXI, urn), copy_at(four, FUJIAN, urn)
    assert at_household is not None
    assert at_work is not None
    assert fields_of(at_household) == HOUSEHOLD_FIELDS
    assert fields_of(at_work) == WORK_FIELDS
    assert applicant.holder.household_address.encode() not in four.carried(ZHEJIANG, FUJIAN)
    require_nothing(four, (ANHUI,), applicant, urn)


async def test_work_in_the_household_province_gets_both_sets_in_one_message(four: Rig) -> None:
    """A province that is entitled twice gets one message with the fields of both policies."""
    four.start_delivery()
    urn = await registered(four, replace(application(), work_division="361123"))

    record = copy_at(four, JIANGXI, urn)
    assert record is not None
    assert fields_of(record) == HOUSEHOLD_FIELDS | WORK_FIELDS
    assert len(list_messages(four[ZHEJIANG].database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=9)) == 1
    leaf = decode_leaf(load_entries(four[ZHEJIANG].database, 0, 1)[0])
    assert (leaf.kind, leaf.policies) == (LeafKind.SENT, ("share-with-household", "share-with-work"))


@pytest.mark.parametrize("who", [{"sealed": True}, {"minor": True}], ids=["sealed", "minor"])
async def test_sealed_record_or_child_crosses_to_nobody_at_any_step(four: Rig, who: dict[str, bool]) -> None:
    """What the law seals, and everything about a child under 14, stays in its province, in every version."""
    four.start_delivery()
    applicant = replace(application(**who), work_division="350782")
    urn = await registered(four, applicant)
    await permits.revoke(begin_errand(four[ZHEJIANG], HALL, act()), PermitRevocation(urn=urn, reason=RevokeReason.LEFT))
    await four.drain()

    record = find_record(four[ZHEJIANG].database, "permit", urn, replica=False)
    assert record is not None
    assert record.version == 2
    require_nothing(four, (JIANGXI, FUJIAN, ANHUI), applicant, urn)


async def test_resident_from_beyond_the_federation_crosses_to_nobody(four: Rig) -> None:
    """A household outside the four provinces entitles none of them."""
    four.start_delivery()
    applicant = application()
    applicant = replace(applicant, holder=replace(applicant.holder, household_division="110101"))
    urn = await registered(four, applicant)

    require_nothing(four, (JIANGXI, FUJIAN, ANHUI), applicant, urn)


async def test_copies_are_sealed_in_the_receiving_store(rig: Rig) -> None:
    """What arrived is not readable in the store's file, nor in the sender's."""
    rig.start_delivery()
    applicant = application()
    await registered(rig, applicant)
    for name in (ZHEJIANG, JIANGXI):
        await rig.hosts[name].close()
        files = [rig.hosts[name].path, *rig.hosts[name].path.parent.glob(f"{name}.db-*")]
        stored = b"".join(path.read_bytes() for path in files)
        assert not [each for each in personal(applicant) if each in stored]


async def test_statement_and_logs_of_both_sides_name_no_person(rig: Rig) -> None:
    """The envelope and both leaves may be read by any auditor: they say that, not whom."""
    rig.start_delivery()
    applicant = application()
    urn = await registered(rig, applicant)

    (message,) = list_messages(rig[JIANGXI].database, "received", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=9)
    entries = [entry for name in (ZHEJIANG, JIANGXI) for entry in load_entries(rig[name].database, 0, 1)]
    for text in (message.envelope, *entries):
        assert not [each for each in (*personal(applicant), urn.encode()) if each in text]
