"""A watermark to protobuf and back: what stands over released fields."""

from __future__ import annotations

from federation.domain.retention.watermark import Watermark
from federation.protocol.ids import parse_agency_id
from federation.v1 import watermark_pb2
from federation.wire.convert import time_from_pb, time_to_pb


def watermark_to_pb(mark: Watermark) -> watermark_pb2.Watermark:
    """A watermark on its way to whoever shows it."""
    return watermark_pb2.Watermark(
        agency=str(mark.agency), officer=mark.officer, time=time_to_pb(mark.time), code=mark.code
    )


def watermark_from_pb(found: watermark_pb2.Watermark) -> Watermark:
    """A watermark.

    Raises:
        MalformedError: AGENCY_ID.
    """
    return Watermark(
        agency=parse_agency_id(found.agency), officer=found.officer, time=time_from_pb(found.time), code=found.code
    )
