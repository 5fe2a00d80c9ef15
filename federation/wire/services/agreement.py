"""The agreement's files, handed out by the function that keeps them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

from federation.protocol.trust.agreement import AgreementFiles
from federation.v1 import agreement_service_pb2, agreement_service_pb2_grpc
from federation.wire.convert import agreement_to_pb
from federation.wire.services.shape import verify_shape

FetchAgreement = Callable[[int], Awaitable[AgreementFiles]]
"""The newest files; `targets` and `files` are empty when the version given is the newest."""


class AgreementService(agreement_service_pb2_grpc.AgreementServiceServicer):
    """`federation.v1.AgreementService` over one function; on both ports."""

    def __init__(self, *, fetch_agreement: FetchAgreement) -> None:
        """Keeps the function that reads the files."""
        self._fetch_agreement = fetch_agreement

    async def FetchAgreement(  # noqa: N802 - the name of the RPC
        self, request: agreement_service_pb2.FetchAgreementRequest, context: grpc.ServicerContext
    ) -> agreement_service_pb2.FetchAgreementResponse:
        """Reads the newest agreement."""
        del context
        verify_shape(request)
        return agreement_to_pb(await self._fetch_agreement(request.known_version))
