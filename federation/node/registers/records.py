"""Vehicles and enterprises as records of the store and back, found by plate or USCC through the blind index.

An id is opaque (`urn:vehicle:<county>:<serial>`): plate, USCC and every person are sealed with the content. Registering
what is known already makes its next version; the same facts again make none. What another county keeps is taken over
only once it stands as transferred or deregistered there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from federation.domain.dossiers.dossier import DossierKind, format_dossier_urn
from federation.domain.dossiers.enterprise import Enterprise, decode_enterprise, encode_enterprise
from federation.domain.dossiers.vehicle import Vehicle, decode_vehicle, encode_vehicle
from federation.protocol.errors import RuleError
from federation.protocol.ids import NodeName
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_by_subject, find_record, next_serial, put_records

_LET_GO = frozenset({"transferred", "deregistered"})
"""How a record stands that another county may take over."""

_Fact = TypeVar("_Fact", Vehicle, Enterprise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[_Fact]):
    """One record as it is kept: its name, its version, its facts."""

    id: str
    version: int
    facts: _Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[_Fact]):
    """How one kind of record is kept: by what it is found, which county keeps it, how it stands, its bytes."""

    kind: DossierKind
    subject: Callable[[_Fact], str]
    division: Callable[[_Fact], str]
    status: Callable[[_Fact], str]
    sealed: Callable[[_Fact], bool]
    same: Callable[[_Fact, _Fact], bool]
    encode: Callable[[_Fact], bytes]
    decode: Callable[[bytes], _Fact]


VEHICLES: Form[Vehicle] = Form(
    kind=DossierKind.VEHICLE,
    subject=lambda vehicle: vehicle.plate,
    division=lambda vehicle: vehicle.registered_division,
    status=lambda vehicle: vehicle.status.value,
    sealed=lambda vehicle: vehicle.sealed,
    same=lambda one, other: one.plate_class is other.plate_class,
    encode=encode_vehicle,
    decode=decode_vehicle,
)
"""A plate and its class name one vehicle: a car and a motorcycle may bear the same signs."""


def _is_never_sealed(enterprise: Enterprise) -> bool:
    del enterprise
    return False


ENTERPRISES: Form[Enterprise] = Form(
    kind=DossierKind.ENTERPRISE,
    subject=lambda enterprise: enterprise.uscc,
    division=lambda enterprise: enterprise.division,
    status=lambda enterprise: enterprise.status.value,
    sealed=_is_never_sealed,
    same=lambda one, other: one.uscc == other.uscc,
    encode=encode_enterprise,
    decode=decode_enterprise,
)


def list_kept(source: Source, form: Form[_Fact], subject: str) -> list[Kept[_Fact]]:
    """Our records of that plate or USCC, by id."""
    return [_kept(record, form) for record in find_by_subject(source, form.kind, subject) if not record.replica]


def find_kept(source: Source, form: Form[_Fact], record_id: str) -> Kept[_Fact] | None:
    """The newest version of one of our records, None when there is none of that name."""
    record = find_record(source, form.kind, record_id, replica=False)
    return _kept(record, form) if record is not None else None


def put_kept(transaction: GroupTransaction, form: Form[_Fact], facts: _Fact, *, owner: NodeName) -> Kept[_Fact]:
    """Keeps what a county registered: a new record, or the next version of the one that is kept already.

    Returns:
        The record as it stands now; unchanged when these facts are kept already.

    Raises:
        RuleError: REGISTERED_ELSEWHERE when another county keeps it and has not let it go.
    """
    known = [each for each in list_kept(transaction, form, form.subject(facts)) if form.same(each.facts, facts)]
    if known and known[0].facts == facts:
        return known[0]
    division = form.division(facts)
    if known and form.division(known[0].facts) != division and form.status(known[0].facts) not in _LET_GO:
        keeper = form.division(known[0].facts)
        raise RuleError("REGISTERED_ELSEWHERE", f"{keeper} keeps this {form.kind}; it must be transferred there first")
    kept = Kept(
        id=known[0].id if known else _take_id(transaction, form.kind, division),
        version=known[0].version + 1 if known else 1,
        facts=facts,
    )
    record = Record(
        id=kept.id,
        kind=form.kind,
        owner=owner,
        version=kept.version,
        replica=False,
        status=form.status(facts),
        division=division,
        sealed=form.sealed(facts),
        subject=form.subject(facts),
        content=form.encode(facts),
    )
    put_records(transaction, [record], expect_version=kept.version - 1)
    return kept


def _take_id(transaction: GroupTransaction, kind: DossierKind, division: str) -> str:
    serial = next_serial(transaction, f"{kind}/{division}")
    return format_dossier_urn(kind, division, serial=serial)


def _kept(record: Record, form: Form[_Fact]) -> Kept[_Fact]:
    return Kept(id=record.id, version=record.version, facts=form.decode(record.content))
