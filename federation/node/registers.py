"""The steps of an agency with its own county's register of vehicles or enterprises: register rows, read one.

Our policy decides each row by itself, then the domain rule; one transaction takes the new versions and the answer,
which the same `request_id` gets again. Nothing of this is sent anywhere. An id is opaque
(`urn:vehicle:<county>:<serial>`): plate, USCC and persons are sealed, found through the blind index. Registering what
is known makes its next version, the same facts none; another county's record is taken over only once transferred or
deregistered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from federation.domain.lookups_case import DossierFacts
from federation.domain.permits import works_on
from federation.domain.plates import parse_plate
from federation.domain.registers import (
    DossierKind,
    Enterprise,
    RegisterAct,
    Vehicle,
    decode_enterprise,
    decode_vehicle,
    enterprise_texts,
    format_dossier_urn,
    register_request,
    vehicle_texts,
    verify_enterprise,
    verify_vehicle,
)
from federation.domain.uscc import verify_uscc
from federation.node.exchange.errand import Errand, on
from federation.node.officers import logged
from federation.node.permits_sharing import find_own_permit
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, RuleError
from federation.protocol.form import Count, Item, Positive, encode, replace
from federation.protocol.ids import NodeName
from federation.protocol.policy import PolicyRequest
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_by_subject, find_record, next_serial, put_records
from federation.wire.agency import registers as wire
from federation.wire.agency.registers import RegisteredRow, RegisterReading, StoredRecord, StoredVersion
from federation.wire.rpc import Ruling

ELSEWHERE: Final = "REGISTERED_ELSEWHERE"
_LET_GO: Final = frozenset({"transferred", "deregistered"})
"""How a record stands that another county may take over."""

_Fact = TypeVar("_Fact", Vehicle, Enterprise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Generic[_Fact]):
    """One record as it is registered: its name, its version, its facts."""

    id: str
    version: int
    facts: _Fact
    unchanged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Generic[_Fact]):
    """The form of one kind of record: its key, its county, its status, its bytes and texts."""

    kind: DossierKind
    subject: Callable[[_Fact], str]
    division: Callable[[_Fact], str]
    status: Callable[[_Fact], str]
    sealed: Callable[[_Fact], bool]
    same: Callable[[_Fact, _Fact], bool]
    encode: Callable[[_Fact], bytes]
    decode: Callable[[bytes], _Fact]
    texts: Callable[[_Fact], Mapping[str, str]]


VEHICLES: Final[Register[Vehicle]] = Register(
    kind=DossierKind.VEHICLE,
    subject=lambda vehicle: vehicle.plate,
    division=lambda vehicle: vehicle.registered_division,
    status=lambda vehicle: vehicle.status.value,
    sealed=lambda vehicle: vehicle.sealed,
    same=lambda one, other: one.plate_class is other.plate_class,
    encode=encode,
    decode=decode_vehicle,
    texts=vehicle_texts,
)
"""A plate and its class name one vehicle: a car and a motorcycle may bear the same signs."""

ENTERPRISES: Final[Register[Enterprise]] = Register(
    kind=DossierKind.ENTERPRISE,
    subject=lambda enterprise: enterprise.uscc,
    division=lambda enterprise: enterprise.division,
    status=lambda enterprise: enterprise.status.value,
    sealed=lambda _enterprise: False,
    same=lambda one, other: one.uscc == other.uscc,
    encode=encode,
    decode=decode_enterprise,
    texts=enterprise_texts,
)


class _StoredRow(Item, frozen=True, kw_only=True):
    position: Count
    id: str
    version: Positive
    unchanged: bool = False


class StoredRows(Item, frozen=True, kw_only=True):
    """The remembered answer to a request to register rows: the versions made, by the position of the row."""

    rows: tuple[_StoredRow, ...] = ()


@on(wire.REGISTER_VEHICLES)
async def register_vehicles(errand: Errand, vehicles: Sequence[Vehicle]) -> tuple[RegisteredRow, ...]:
    """Registers vehicles of the caller's county, each judged by itself. Refuses REQUEST_ID_REUSED."""
    return await _register(errand, VEHICLES, vehicles, verify=partial(_verify_vehicle, errand))


@on(wire.REGISTER_ENTERPRISES)
async def register_enterprises(errand: Errand, enterprises: Sequence[Enterprise]) -> tuple[RegisteredRow, ...]:
    """Registers enterprises of the caller's county, each judged by itself. Refuses REQUEST_ID_REUSED."""
    realm, today = errand.in_force.agreement.realm, errand.node.today()
    verify = partial(verify_enterprise, realm=realm, today=today)
    return await _register(errand, ENTERPRISES, enterprises, verify=verify)


@on(wire.GET_VEHICLE)
async def get_vehicle(errand: Errand, plate: str) -> RegisterReading:
    """Reads what the county keeps under a plate, as policy gives. Refuses REGISTER_UNKNOWN and malformed plates."""
    found = list_registered(errand.node.database, VEHICLES, parse_plate(plate, errand.in_force.agreement.realm))
    return await _read(errand, VEHICLES, found)


@on(wire.GET_ENTERPRISE)
async def get_enterprise(errand: Errand, uscc: str) -> RegisterReading:
    """Reads what the county keeps under a USCC, as policy gives. Refuses REGISTER_UNKNOWN and malformed USCCs."""
    found = list_registered(errand.node.database, ENTERPRISES, verify_uscc(uscc, errand.in_force.agreement.realm))
    return await _read(errand, ENTERPRISES, found)


def list_registered(source: Source, register: Register[_Fact], subject: str) -> list[Registered[_Fact]]:
    found = find_by_subject(source, register.kind, subject)
    return [_registered(record, register) for record in found if not record.replica]


def find_registered(source: Source, register: Register[_Fact], record_id: str) -> Registered[_Fact] | None:
    record = find_record(source, register.kind, record_id, replica=False)
    return _registered(record, register) if record is not None else None


def put_registered(
    transaction: GroupTransaction, register: Register[_Fact], facts: _Fact, *, owner: NodeName
) -> Registered[_Fact]:
    """Keeps a new record, or the next version, or what is kept already; returns it. Refuses REGISTERED_ELSEWHERE."""
    found = list_registered(transaction, register, register.subject(facts))
    known = next((each for each in found if register.same(each.facts, facts)), None)
    if known is not None and known.facts == facts:
        return replace(known, unchanged=True)
    division = register.division(facts)
    if known is not None:
        keeper = register.division(known.facts)
        if keeper != division and register.status(known.facts) not in _LET_GO:
            raise RuleError(ELSEWHERE, f"another county keeps this {register.kind}; it is transferred there first")
    made = Registered(
        id=known.id if known is not None else _take_id(transaction, register.kind, division),
        version=known.version + 1 if known is not None else 1,
        facts=facts,
    )
    record = Record(
        id=made.id,
        kind=register.kind,
        owner=owner,
        version=made.version,
        replica=False,
        status=register.status(facts),
        division=division,
        sealed=register.sealed(facts),
        subject=register.subject(facts),
        content=register.encode(facts),
    )
    put_records(transaction, [record], expect_version=made.version - 1)
    return made


async def _register(
    errand: Errand, register: Register[_Fact], rows: Sequence[_Fact], *, verify: Callable[[_Fact], _Fact]
) -> tuple[RegisteredRow, ...]:
    asked = errand.asked(RegisterAct.KEEP, b"\n".join(register.encode(row) for row in rows).hex())
    known = errand.remembered(asked, StoredRows)
    stored: tuple[_StoredRow, ...] = known.answer.rows if known is not None else ()
    answer: dict[int, RegisteredRow] = {row.position: _version(row) for row in stored}
    accepted = await _judge_rows(errand, register, rows, answer, verify=verify)

    def write(transaction: GroupTransaction) -> StoredRows:
        made: list[_StoredRow] = []
        for position, row in accepted.items():
            try:
                stored_row = put_registered(transaction, register, row, owner=errand.node.name)
            except RuleError as error:
                answer[position] = error
            else:
                made.append(_row_at(position, stored_row))
        return StoredRows(rows=(*stored, *made))

    if accepted:
        done = await errand.once(asked, StoredRows, write, after=known)
        answer.update((row.position, _version(row)) for row in done.rows)
        if taken := [row for row in answer.values() if isinstance(row, RuleError) and row.reason == ELSEWHERE]:
            await logged(errand, taken[0])  # nobody tries plates unseen
    if len(answer) < len(rows):
        raise ConflictError("VERSION_CONFLICT", "the same request was answered at this moment; send it again")
    return tuple(answer[position] for position in range(len(rows)))


def _row_at(position: int, made: Registered[_Fact]) -> _StoredRow:
    return _StoredRow(position=position, id=made.id, version=made.version, unchanged=made.unchanged)


def _version(row: _StoredRow) -> StoredVersion:
    return StoredVersion(id=row.id, version=row.version, unchanged=row.unchanged)


async def _judge_rows(
    errand: Errand,
    register: Register[_Fact],
    rows: Sequence[_Fact],
    answer: dict[int, RegisteredRow],
    *,
    verify: Callable[[_Fact], _Fact],
) -> dict[int, _Fact]:
    """Adds to `answer` what needs no writing, and returns the rows to write by their position."""
    accepted: dict[int, _Fact] = {}
    refused: tuple[PolicyRequest, Ruling] | None = None
    for position, row in enumerate(rows):
        if position in answer:
            continue
        question = _question(errand, RegisterAct.KEEP, register.kind, register.division(row))
        ruling = errand.rule(question)
        if not ruling.allowed:
            answer[position] = ruling
            refused = (question, ruling)
            continue
        try:
            accepted[position] = verify(row)
        except BridgeheadError as error:
            answer[position] = error
    if refused is not None:
        await errand.refuse(refused[1], asked=[refused[0]])
    return accepted


async def _read(errand: Errand, register: Register[_Fact], found: Sequence[Registered[_Fact]]) -> RegisterReading:
    """Policy is asked about the caller's own county first: what another county keeps is not even told to be there."""
    ruling = await errand.ask(_question(errand, RegisterAct.READ, register.kind, errand.caller.county))
    if not ruling.allowed:
        return RegisterReading(decision=ruling)
    readable = [
        each
        for each in found
        if errand.rule(_question(errand, RegisterAct.READ, register.kind, register.division(each.facts))).allowed
    ]
    if not readable:
        raise NotFoundError("REGISTER_UNKNOWN", f"{errand.caller.county} keeps no such {register.kind}")
    return RegisterReading(
        decision=ruling, records=tuple(_record(register, each, fields=ruling.fields) for each in readable)
    )


def _record(register: Register[_Fact], found: Registered[_Fact], *, fields: frozenset[str]) -> StoredRecord:
    shown = {name: text for name, text in register.texts(found.facts).items() if name in fields}
    return StoredRecord(version=StoredVersion(id=found.id, version=found.version), fields=MappingProxyType(shown))


def _question(errand: Errand, act: RegisterAct, kind: DossierKind, division: str) -> PolicyRequest:
    dossier = DossierFacts(province=errand.node.name, kind=kind.value, issuing_division=division)
    return register_request(act, errand.agency, dossier, occasion=errand.occasion)


def _verify_vehicle(errand: Errand, vehicle: Vehicle) -> Vehicle:
    node = errand.node
    verify_vehicle(vehicle, errand.in_force.agreement.realm, today=node.today())
    known = list_registered(node.database, VEHICLES, vehicle.plate)
    if vehicle.permit is None or any(each.facts.permit == vehicle.permit for each in known):
        return vehicle
    permit = find_own_permit(node.database, vehicle.permit)
    if permit is None or permit.holder.citizen_number != vehicle.keeper or not works_on(permit, node.today()):
        raise RuleError("VEHICLE_PERMIT", "expected a permit of this province that is valid today and the keeper's own")
    return vehicle


def _take_id(transaction: GroupTransaction, kind: DossierKind, division: str) -> str:
    serial = next_serial(transaction, f"{kind}/{division}")
    return format_dossier_urn(kind, division, serial=serial)


def _registered(record: Record, register: Register[_Fact]) -> Registered[_Fact]:
    return Registered(id=record.id, version=record.version, facts=register.decode(record.content))
