"""What an agency does with its own county's register of vehicles or enterprises: register rows, read one.

The caller is the certificate's agency; our policy decides each row by itself; the domain rule decides; then one
transaction takes the new versions and the answer to the request. The same `request_id` gives the same answer, whatever
became of a record since. Nothing of this is sent anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from federation.domain.dossiers.dossier import DossierKind
from federation.domain.dossiers.enterprise import Enterprise, enterprise_texts, verify_enterprise
from federation.domain.dossiers.plate import parse_plate
from federation.domain.dossiers.register_policy import RegisterAct, register_request
from federation.domain.dossiers.vehicle import Vehicle, vehicle_texts, verify_vehicle
from federation.domain.lookup_policy import DossierFacts
from federation.domain.permit import PermitStatus, status_on
from federation.domain.uscc import verify_uscc
from federation.node.exchange.errand import Errand, asked_digest, record_refusal, rule
from federation.node.permits.records import find_own_permit, find_request_record, put_request_answer
from federation.node.registers.records import ENTERPRISES, VEHICLES, Form, Kept, list_kept, put_kept
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, RuleError
from federation.protocol.policy import PolicyRequest
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.registers import KeptRecord, KeptVersion, RegisteredRow, RegisterReading
from federation.wire.values import Ruling

_Fact = TypeVar("_Fact", Vehicle, Enterprise)
_WORKING = frozenset({PermitStatus.VALID, PermitStatus.ENDORSEMENT_OPEN})


async def register_vehicles(errand: Errand, vehicles: Sequence[Vehicle]) -> tuple[RegisteredRow, ...]:
    """Registers vehicles of the caller's county, or what changed of them, each judged by itself.

    Raises:
        ConflictError: REQUEST_ID_REUSED when the id came with other vehicles before.
        UnavailableError: nothing was written; the same request may be sent again.
    """
    return await _register(errand, VEHICLES, vehicles, verify=partial(_verify_vehicle, errand))


async def register_enterprises(errand: Errand, enterprises: Sequence[Enterprise]) -> tuple[RegisteredRow, ...]:
    """Registers enterprises of the caller's county, or what changed of them, each judged by itself.

    Raises:
        ConflictError: REQUEST_ID_REUSED when the id came with other enterprises before.
        UnavailableError: nothing was written; the same request may be sent again.
    """
    return await _register(errand, ENTERPRISES, enterprises, verify=partial(_verify_enterprise, errand))


async def get_vehicle(errand: Errand, plate: str) -> RegisterReading:
    """Reads what the caller's county keeps under a plate, with the fields that policy gives.

    Raises:
        MalformedError: PLATE_* and REAL_PLATE_IN_DEMO.
        NotFoundError: REGISTER_UNKNOWN when the county keeps no such vehicle.
    """
    kept = list_kept(errand.node.database, VEHICLES, parse_plate(plate, errand.in_force.agreement.realm))
    return await _read(errand, VEHICLES, kept)


async def get_enterprise(errand: Errand, uscc: str) -> RegisterReading:
    """Reads the enterprise that the caller's county keeps under a USCC, with the fields that policy gives.

    Raises:
        MalformedError: USCC_* and REAL_USCC_IN_DEMO.
        NotFoundError: REGISTER_UNKNOWN when the county keeps no such enterprise.
    """
    kept = list_kept(errand.node.database, ENTERPRISES, verify_uscc(uscc, errand.in_force.agreement.realm))
    return await _read(errand, ENTERPRISES, kept)


async def _register(
    errand: Errand, form: Form[_Fact], rows: Sequence[_Fact], *, verify: Callable[[_Fact], _Fact]
) -> tuple[RegisteredRow, ...]:
    node, key = errand.node, errand.act.request_id
    asked = asked_digest(errand, RegisterAct.KEEP, b"\n".join(form.encode(row) for row in rows).hex())
    done = find_request_record(node.database, key)
    answer = _decode_done(done.content, asked=asked) if done is not None else {}
    accepted = await _judge(errand, form, rows, answer, verify=verify)
    if accepted:
        version = done.version if done is not None else 0

        def keep(transaction: GroupTransaction) -> dict[int, RegisteredRow]:
            kept = {position: _put(transaction, form, row, errand) for position, row in accepted.items()}
            written = _encode_done({**answer, **kept}, asked=asked)
            put_request_answer(transaction, key, written, owner=node.name, before=version)
            return kept

        answer.update((await node.sequencer.commit(keep)).value)
    return tuple(answer[position] for position in range(len(rows)))


async def _judge(
    errand: Errand,
    form: Form[_Fact],
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
        request = _request(errand, RegisterAct.KEEP, form.kind, form.division(row))
        ruling = rule(errand, request)
        if not ruling.allowed:
            answer[position] = ruling
            refused = (request, ruling)
            continue
        try:
            accepted[position] = verify(row)
        except BridgeheadError as error:
            answer[position] = error
    if refused is not None:
        await record_refusal(errand, refused[1], asked=[refused[0]])
    return accepted


def _put(transaction: GroupTransaction, form: Form[_Fact], row: _Fact, errand: Errand) -> RegisteredRow:
    try:
        kept = put_kept(transaction, form, row, owner=errand.node.name)
    except RuleError as error:
        return error
    return KeptVersion(id=kept.id, version=kept.version)


async def _read(errand: Errand, form: Form[_Fact], kept: Sequence[Kept[_Fact]]) -> RegisterReading:
    """Policy is asked about the caller's own county first: what another county keeps is not even told to be there."""
    request = _request(errand, RegisterAct.READ, form.kind, errand.caller.county)
    ruling = rule(errand, request)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return RegisterReading(decision=ruling)
    readable = [
        each
        for each in kept
        if rule(errand, _request(errand, RegisterAct.READ, form.kind, form.division(each.facts))).allowed
    ]
    if not readable:
        raise NotFoundError("REGISTER_UNKNOWN", f"{errand.caller.county} keeps no such {form.kind}")
    return RegisterReading(decision=ruling, records=tuple(_record(each, fields=ruling.fields) for each in readable))


def _record(kept: Kept[_Fact], *, fields: frozenset[str]) -> KeptRecord:
    facts = kept.facts
    texts = vehicle_texts(facts) if isinstance(facts, Vehicle) else enterprise_texts(facts)
    given = MappingProxyType({name: text for name, text in texts.items() if name in fields})
    return KeptRecord(version=KeptVersion(id=kept.id, version=kept.version), fields=given)


def _request(errand: Errand, act: RegisterAct, kind: DossierKind, division: str) -> PolicyRequest:
    dossier = DossierFacts(province=errand.node.name, kind=kind.value, issuing_division=division)
    return register_request(act, errand.agency, dossier, occasion=errand.occasion)


def _verify_vehicle(errand: Errand, vehicle: Vehicle) -> Vehicle:
    node = errand.node
    verify_vehicle(vehicle, errand.in_force.agreement.realm, today=node.today())
    known = list_kept(node.database, VEHICLES, vehicle.plate)
    if vehicle.permit is None or any(each.facts.permit == vehicle.permit for each in known):
        return vehicle
    permit = find_own_permit(node.database, vehicle.permit)
    if (
        permit is None
        or permit.holder.citizen_number != vehicle.keeper
        or status_on(permit, node.today()) not in _WORKING
    ):
        raise RuleError("VEHICLE_PERMIT", "expected a permit of this province that is valid today and the keeper's own")
    return vehicle


def _verify_enterprise(errand: Errand, enterprise: Enterprise) -> Enterprise:
    return verify_enterprise(enterprise, errand.in_force.agreement.realm, today=errand.node.today())


def _encode_done(answer: dict[int, RegisteredRow], *, asked: str) -> bytes:
    kept = {str(position): [row.id, row.version] for position, row in answer.items() if isinstance(row, KeptVersion)}
    return json.dumps({"asked": asked, "kept": kept}).encode()


def _decode_done(content: bytes, *, asked: str) -> dict[int, RegisteredRow]:
    value = json.loads(content)
    if not isinstance(value, dict) or value.get("asked") != asked:
        raise ConflictError("REQUEST_ID_REUSED", "this request asked for something else before")
    return {
        int(position): KeptVersion(id=str(name), version=int(version))
        for position, (name, version) in value["kept"].items()
    }
