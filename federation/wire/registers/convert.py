"""Protobuf to values and back for the registers.

Rules kept: as `convert_permit`; whether a plate, a USCC or a keeper is one of its realm is the domain's to judge, for
only the node knows its realm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from federation.domain.dossiers.dossier import ENTERPRISE_FIELDS, VEHICLE_FIELDS
from federation.domain.dossiers.enterprise import Enterprise, enterprise_texts, parse_enterprise
from federation.domain.dossiers.vehicle import Vehicle, parse_vehicle, vehicle_texts
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.v1 import register_service_pb2
from federation.wire.convert import act_to_pb, failure_from_pb, failure_to_pb
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.registers.values import KeptRecord, KeptVersion, RegisteredRow, RegisterReading
from federation.wire.values import Act, Ruling

_Registered = TypeVar(
    "_Registered", register_service_pb2.RegisterVehiclesResponse, register_service_pb2.RegisterEnterprisesResponse
)
_Reading = TypeVar("_Reading", register_service_pb2.GetVehicleResponse, register_service_pb2.GetEnterpriseResponse)


def vehicles_to_pb(act: Act, vehicles: Sequence[Vehicle]) -> register_service_pb2.RegisterVehiclesRequest:
    """The request to register vehicles."""
    rows = [register_service_pb2.Vehicle(**vehicle_texts(each), sealed=each.sealed) for each in vehicles]
    return register_service_pb2.RegisterVehiclesRequest(act=act_to_pb(act), vehicles=rows)


def vehicles_from_pb(request: register_service_pb2.RegisterVehiclesRequest) -> tuple[Vehicle, ...]:
    """The vehicles that are to be registered.

    Raises:
        MalformedError: as `parse_vehicle`.
    """
    return tuple(_vehicle_from_pb(row) for row in request.vehicles)


def _vehicle_from_pb(row: register_service_pb2.Vehicle) -> Vehicle:
    texts: dict[str, str] = {name: getattr(row, name) for name in VEHICLE_FIELDS}
    return parse_vehicle(texts, sealed=row.sealed)


def enterprises_to_pb(act: Act, enterprises: Sequence[Enterprise]) -> register_service_pb2.RegisterEnterprisesRequest:
    """The request to register enterprises."""
    rows = [register_service_pb2.Enterprise(**enterprise_texts(each)) for each in enterprises]
    return register_service_pb2.RegisterEnterprisesRequest(act=act_to_pb(act), enterprises=rows)


def enterprises_from_pb(request: register_service_pb2.RegisterEnterprisesRequest) -> tuple[Enterprise, ...]:
    """The enterprises that are to be registered.

    Raises:
        MalformedError: as `parse_enterprise`.
    """
    rows = ({name: getattr(row, name) for name in ENTERPRISE_FIELDS} for row in request.enterprises)
    return tuple(parse_enterprise(row) for row in rows)


def registered_to_pb(response: type[_Registered], rows: Sequence[RegisteredRow]) -> _Registered:
    """The response of that RPC with what each row came to."""
    return response(rows=[_row_to_pb(row) for row in rows])


def registered_from_pb(found: _Registered, *, expected: int) -> tuple[RegisteredRow, ...]:
    """What each row came to, in the order of the request.

    Raises:
        MalformedError: ANSWER_COUNT when there is not one for each; ANSWER when one says nothing.
    """
    if len(found.rows) != expected:
        raise MalformedError("ANSWER_COUNT", f"expected {expected} answers, got {len(found.rows)}")
    return tuple(_row_from_pb(row) for row in found.rows)


def reading_to_pb(response: type[_Reading], reading: RegisterReading) -> _Reading:
    """The response of that RPC with the records found."""
    records = [
        register_service_pb2.KeptRecord(version=_version_to_pb(record.version), fields=record.fields)
        for record in reading.records
    ]
    return response(decision=ruling_to_pb(reading.decision), records=records)


def reading_from_pb(found: _Reading) -> RegisterReading:
    """The records found under one plate or USCC."""
    records = [
        KeptRecord(version=_version_from_pb(record.version), fields=dict(record.fields)) for record in found.records
    ]
    return RegisterReading(decision=ruling_from_pb(found.decision), records=tuple(records))


def _row_to_pb(row: RegisteredRow) -> register_service_pb2.RegisteredRow:
    match row:
        case BridgeheadError():
            return register_service_pb2.RegisteredRow(failure=failure_to_pb(row))
        case Ruling():
            return register_service_pb2.RegisteredRow(refusal=ruling_to_pb(row))
        case KeptVersion():
            return register_service_pb2.RegisteredRow(kept=_version_to_pb(row))


def _row_from_pb(row: register_service_pb2.RegisteredRow) -> RegisteredRow:
    match row.WhichOneof("outcome"):
        case "kept":
            return _version_from_pb(row.kept)
        case "refusal":
            return ruling_from_pb(row.refusal)
        case "failure":
            return failure_from_pb(row.failure)
        case _:
            raise MalformedError("ANSWER", "expected a record, a refusal or a failure, got none")


def _version_to_pb(version: KeptVersion) -> register_service_pb2.KeptVersion:
    return register_service_pb2.KeptVersion(id=version.id, version=version.version)


def _version_from_pb(found: register_service_pb2.KeptVersion) -> KeptVersion:
    return KeptVersion(id=found.id, version=found.version)
