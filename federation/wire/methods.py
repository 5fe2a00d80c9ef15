"""The one table of RPCs: on which side each is offered, who may call it, the shortest deadline, is it idempotent.

Rules kept: default deny, an RPC without a row is refused; a test compares the table with the descriptors. What an
agency may do *within* an RPC is policy's to say, not this table's.
Source: DESIGN section 7, style reference section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from federation.wire.rpc import Rpc, Side
from federation.wire.table import RPCS


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC. `kinds` are the kinds of agency that may call it, None for every one of the node's own province.

    `floor_seconds` is the shortest deadline that is accepted: with less left the work would be thrown away. None for
    streams that live as long as their connection.
    """

    sides: frozenset[Side]
    kinds: frozenset[str] | None = None
    floor_seconds: float | None = 0.05
    idempotent: bool = True


_PEER = frozenset({Side.PEER})
_AGENCY = frozenset({Side.AGENCY})
_BOTH = frozenset({Side.PEER, Side.AGENCY})
_PERMITS = "/federation.v1.PermitService/"
_LOOKUPS = "/federation.v1.LookupService/"
_OVERSIGHT = "/federation.v1.OversightService/"
_CORRECTIONS = "/federation.v1.CorrectionService/"
_INTAKE = "/federation.v1.IntakeService/"
_READINGS = "/federation.v1.ReadingService/"
_ERASURES = "/federation.v1.ErasureService/"
_POLICE = frozenset({"police"})
_AUDIT = frozenset({"audit"})
_COUNTERS = frozenset({"service-hall", "police"})

METHODS: Mapping[str, Method | Rpc[Any, Any]] = MappingProxyType(
    {
        **{rpc.path: rpc for rpc in RPCS},
        "/federation.v1.ExchangeService/Submit": Method(sides=_PEER, floor_seconds=0.1),
        "/federation.v1.AgreementService/FetchAgreement": Method(sides=_BOTH),
        "/federation.v1.ReconciliationService/DigestRange": Method(sides=_PEER),
        _PERMITS + "RegisterPermit": Method(sides=_AGENCY, floor_seconds=0.1),
        _PERMITS + "EndorsePermit": Method(sides=_AGENCY, floor_seconds=0.1),
        _PERMITS + "SuspendPermit": Method(sides=_AGENCY, floor_seconds=0.1),
        _PERMITS + "RestorePermit": Method(sides=_AGENCY, floor_seconds=0.1),
        _PERMITS + "RevokePermit": Method(sides=_AGENCY, floor_seconds=0.1),
        _PERMITS + "RecognisePermit": Method(sides=_AGENCY, floor_seconds=0.1),
        _PERMITS + "GetPermit": Method(sides=_AGENCY),
        _PERMITS + "ListPermits": Method(sides=_AGENCY),
        _PERMITS + "ImportPermits": Method(sides=_AGENCY, floor_seconds=0.5),
        _LOOKUPS + "OpenCase": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _LOOKUPS + "CloseCase": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _LOOKUPS + "Search": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _LOOKUPS + "Fetch": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _LOOKUPS + "ListLookups": Method(sides=_AGENCY, kinds=_POLICE),
        _OVERSIGHT + "CountersignCase": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _OVERSIGHT + "ListNotices": Method(sides=_AGENCY, kinds=_POLICE),
        _OVERSIGHT + "ReviewBreakGlass": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _OVERSIGHT + "ListFlags": Method(sides=_AGENCY, kinds=_POLICE),
        _OVERSIGHT + "GetDailyDigest": Method(sides=_AGENCY, kinds=_POLICE),
        _OVERSIGHT + "ListReadings": Method(sides=_AGENCY, kinds=_POLICE | _AUDIT),
        _READINGS + "ReadLookup": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _READINGS + "TraceReading": Method(sides=_AGENCY, kinds=_AUDIT),
        _ERASURES + "OrderErasure": Method(sides=_AGENCY, kinds=_COUNTERS, floor_seconds=0.1),
        _ERASURES + "ListSent": Method(sides=_AGENCY, kinds=_COUNTERS),
        _ERASURES + "ListErasures": Method(sides=_AGENCY),
        _ERASURES + "RunRetention": Method(sides=_AGENCY, floor_seconds=0.1),
        _INTAKE + "ListIntake": Method(sides=_AGENCY, kinds=_POLICE),
        _INTAKE + "ReleaseIntake": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _INTAKE + "RefuseIntake": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _INTAKE + "SendSecond": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _OVERSIGHT + "ListSample": Method(sides=_AGENCY, kinds=_POLICE),
        _OVERSIGHT + "RecordReview": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=0.1),
        _OVERSIGHT + "WatchNotices": Method(sides=_AGENCY, kinds=_POLICE, floor_seconds=None),
        "/federation.v1.SubjectService/GetReport": Method(sides=_AGENCY, kinds=_COUNTERS, floor_seconds=0.1),
        _CORRECTIONS + "FileCorrection": Method(sides=_AGENCY, kinds=_COUNTERS, floor_seconds=0.1),
        _CORRECTIONS + "ListCorrections": Method(sides=_AGENCY, kinds=_COUNTERS),
        _CORRECTIONS + "GrantCorrection": Method(sides=_AGENCY, kinds=_COUNTERS, floor_seconds=0.1),
        _CORRECTIONS + "DenyCorrection": Method(sides=_AGENCY, kinds=_COUNTERS, floor_seconds=0.1),
        _CORRECTIONS + "ExtendCorrection": Method(sides=_AGENCY, kinds=_COUNTERS, floor_seconds=0.1),
        "/federation.v1.NodeService/GetStatus": Method(sides=_AGENCY),
        "/federation.v1.AuditService/ListMessages": Method(sides=_AGENCY, kinds=frozenset({"audit"})),
        "/grpc.health.v1.Health/Check": Method(sides=_BOTH, floor_seconds=0.01),
        "/grpc.health.v1.Health/Watch": Method(sides=_BOTH, floor_seconds=None),
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Method(sides=_BOTH, floor_seconds=None),
    }
)
"""By full name. Every mutating RPC is idempotent: by the statement's id, `request_id`, or import id and chunk."""
