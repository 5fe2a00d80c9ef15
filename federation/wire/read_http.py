"""The HTTP read side of a node: its log as tiles, its duty as a witness, and health. No personal data is here.

Rules kept: content types and caching as the public pages say; a full tile or bundle is immutable, the checkpoint is
fresh; a request body over 128 KiB is refused while it is read; what goes wrong is one plain line, opaque when unknown.
Trusts nobody and needs not to: everything served is signed or a hash, what is posted is judged by the witness's table.
Source: C2SP tlog-tiles.md, tlog-witness.md, C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import structlog
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, UnavailableError
from federation.protocol.tlog.tiles import ENTRIES, TILE_WIDTH, Tile, parse_tile_path
from federation.protocol.tlog.witness import MAX_REQUEST_BYTES, WitnessAnswer
from federation.wire.limits import PostLimit
from federation.wire.read_connections import HEAD_SECONDS, Connections, TimedProtocol
from federation.wire.status import http_code_of

BODY_SECONDS = 10.0
_FRESH = "max-age=2"
_IMMUTABLE = "public, max-age=31536000, immutable"
_PARTIAL = "public, max-age=3600"
_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"
_QVALUE = re.compile(r"q=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.ASCII)
_log = structlog.get_logger()


class ReadFunctions(Struct, frozen=True, kw_only=True):
    """The node's function for each path; a missing file is a `NotFoundError`.

    `cosigned` gets the lower-case hex SHA-256 of a log's origin. `health` says None when the node works, else why not;
    `notice` what a human should look at although it works.
    """

    checkpoint: Callable[[], Awaitable[bytes]]
    tile: Callable[[Tile], Awaitable[bytes]]
    add_checkpoint: Callable[[bytes], Awaitable[WitnessAnswer]]
    cosigned: Callable[[str], Awaitable[bytes]]
    health: Callable[[], Awaitable[str | None]]
    notice: Callable[[], Awaitable[str | None]] | None = None


def read_app(functions: ReadFunctions) -> ASGIApp:
    reads = _Reads(functions)
    app = Starlette(
        routes=[
            Route("/checkpoint", reads.checkpoint),
            Route("/tile/{path:path}", reads.tile),
            Route("/witness/add-checkpoint", reads.add_checkpoint, methods=["POST"]),
            Route("/witness/{origin_hash}/checkpoint", reads.cosigned),
            Route("/healthz", reads.health),
        ],
        exception_handlers={BridgeheadError: _tell, Exception: _tell_nothing},
    )
    app.router.redirect_slashes = False  # it would send whoever asks to the host that they named
    return app


class _Reads:
    """One method a path: reads the request, calls the function, says what it is."""

    def __init__(self, functions: ReadFunctions) -> None:
        self._functions = functions
        self._posts = PostLimit()

    async def checkpoint(self, request: Request) -> Response:
        del request
        return Response(await self._functions.checkpoint(), media_type=_TEXT, headers={"Cache-Control": _FRESH})

    async def tile(self, request: Request) -> Response:
        tile = parse_tile_path(f"tile/{request.path_params['path']}")
        blob = await self._functions.tile(tile)
        headers = {"Cache-Control": _IMMUTABLE if tile.width == TILE_WIDTH else _PARTIAL}
        if tile.level == ENTRIES:
            headers["Vary"] = "Accept-Encoding"
            if prefers_gzip(",".join(request.headers.getlist("accept-encoding"))):
                headers["Content-Encoding"] = "gzip"
                blob = gzip.compress(blob, compresslevel=1, mtime=0)
        return Response(blob, media_type=_BINARY, headers=headers)

    async def add_checkpoint(self, request: Request) -> Response:
        if not self._posts.allows(request.client.host if request.client else ""):
            return PlainTextResponse("too many posts from this address; try again in a minute\n", status_code=429)
        answer = await self._functions.add_checkpoint(await _read_body(request))
        return Response(answer.body, status_code=answer.status, headers={"Content-Type": answer.content_type})

    async def cosigned(self, request: Request) -> Response:
        origin_hash = request.path_params["origin_hash"]
        if len(origin_hash) != 64 or not set(origin_hash) <= set("0123456789abcdef"):
            raise NotFoundError("ORIGIN_HASH", "expected the lower-case hex SHA-256 of a log's origin")
        note = await self._functions.cosigned(origin_hash)
        return Response(note, media_type=_TEXT, headers={"Cache-Control": _FRESH})

    async def health(self, request: Request) -> Response:
        del request
        trouble = await self._functions.health()
        notice = await self._functions.notice() if self._functions.notice and not trouble else None
        text = trouble or (f"ok; {notice}" if notice else "ok")
        headers = {"Cache-Control": "no-store"}
        return PlainTextResponse(f"{text}\n", status_code=503 if trouble else 200, headers=headers)


def prefers_gzip(accepted: str) -> bool:
    """True when an `Accept-Encoding` takes gzip, and likes it no less than no coding (RFC 9110 12.5.3)."""
    weights: dict[str, float] = {}
    for each in accepted.lower().split(","):
        coding, _, parameter = (part.strip() for part in each.partition(";"))
        weights[coding] = _weight(parameter)
    gzip_weight = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip_weight > 0 and gzip_weight >= weights.get("identity", 0.0)


def _weight(parameter: str) -> float:
    if not parameter:
        return 1.0
    return float(parameter[2:]) if _QVALUE.fullmatch(parameter) else 0.0  # what cannot be read is no wish


class RunningHttp:
    def __init__(self, server: uvicorn.Server, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self._server = server
        self._task = asyncio.create_task(server.serve(sockets=[listening]), name="read-http")

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._task


def _nobody(source: str) -> bool:
    return not source


async def serve_http(
    app: ASGIApp, *, host: str, port: int, drain_seconds: float = 5.0, is_named: Callable[[str], bool] = _nobody
) -> RunningHttp:
    """Serves the application inside the running loop; port 0 takes any. Raises UnavailableError PORT_TAKEN.

    `is_named` tells the sources that have connections of their own (`read_connections`).
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UnavailableError("PORT_TAKEN", f"cannot listen on {host}:{port}") from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a tile waits 40 ms for the head's ACK
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        http=partial(TimedProtocol, connections=Connections(is_named)),  # type: ignore[arg-type]  # it makes one, as a class does
        timeout_keep_alive=round(HEAD_SECONDS),
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
        h11_max_incomplete_event_size=32 * 1024,
    )
    return RunningHttp(_QuietServer(config), listening)


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _read_body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_REQUEST_BYTES:
        raise MalformedError("BODY_SIZE", f"expected at most {MAX_REQUEST_BYTES} bytes, got {length:.20}")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_REQUEST_BYTES:
                    raise MalformedError("BODY_SIZE", f"expected at most {MAX_REQUEST_BYTES} bytes")
    except TimeoutError as error:
        raise UnavailableError("BODY_TIMEOUT", f"expected the body within {BODY_SECONDS:.0f} seconds") from error
    return bytes(body)


async def _tell(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, BridgeheadError):
        raise error
    code = 413 if error.reason == "BODY_SIZE" else http_code_of(error)
    return PlainTextResponse(f"{error}\n", status_code=code)


async def _tell_nothing(request: Request, error: Exception) -> Response:
    error_id = secrets.token_hex(8)
    _log.error("http.failed", path=request.url.path, error_id=error_id, exc_info=error)
    return PlainTextResponse(f"internal error: tell the operator this id: {error_id}\n", status_code=500)
