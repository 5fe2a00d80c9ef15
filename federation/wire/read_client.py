"""Reading another node's log and witness over HTTP, with nothing but the standard library.

Rules kept: every answer has a size limit; every call has one time limit, from the connection to the last byte, however
slowly they come; no redirect is followed; connections are kept.
Trusts nothing that it reads: who asked verifies. Source: C2SP tlog-tiles.md, tlog-witness.md,
C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import socket
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError
from federation.protocol.tlog.tiles import ENTRIES, Tile, format_tile_path
from federation.protocol.tlog.witness import MAX_REQUEST_BYTES, NEVER_COSIGNED, monitoring_path

MAX_NOTE_BYTES = 256 * 1024
MAX_TILE_BYTES = 256 * 32
MAX_BUNDLE_BYTES = 256 * (2 + 0xFFFF)
_MAX_IDLE = 16
_NOT_NOW = frozenset({429, 502, 503, 504})
"""Too many, and what a node or the proxy before it says when the node does not work."""


class ReadClient:
    """The read side of one node at a URL such as `http://host:7103`; it may be used from several tasks at once."""

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        """Connects on the first call. Raises MalformedError: READ_URL for anything but http or https with a host."""
        parts = urlsplit(url)
        try:
            self._port = parts.port
        except ValueError as error:
            raise MalformedError("READ_URL", f"expected a port in {url!r:.100}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise MalformedError("READ_URL", f"expected a URL such as http://host:7103, got {url!r:.100}")
        self._url, self._host, self._prefix = url, parts.hostname, parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        self._timeout_seconds = timeout_seconds
        self._idle: list[HTTPConnection] = []
        self._closed = False

    async def checkpoint(self) -> bytes:
        """Fetches the signed head.

        Refuses FILE_MISSING; UnavailableError (READ_FAILED, READ_STATUS) when nobody answers, or not now;
        MalformedError (READ_STATUS, READ_SIZE) when the answer is nothing that a read side says.
        """
        return await self._get("checkpoint", MAX_NOTE_BYTES)

    async def load(self, tile: Tile) -> bytes:
        """Fetches a tile or an entry bundle; raises as `checkpoint`."""
        return await self._get(format_tile_path(tile), MAX_BUNDLE_BYTES if tile.level == ENTRIES else MAX_TILE_BYTES)

    async def cosigned(self, origin: str) -> bytes:
        """Fetches the checkpoint of another log that this node cosigned last; raises as `checkpoint`."""
        return await self._get(f"witness/{monitoring_path(origin)}", MAX_NOTE_BYTES)

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Posts an `add-checkpoint` request to the witness below this URL; returns status and body, whatever they say.

        Refuses READ_FAILED, READ_SIZE.
        """
        path = f"{self._prefix}/add-checkpoint"
        return await asyncio.to_thread(self._exchange, "POST", path, body, limit=MAX_REQUEST_BYTES)

    async def last_cosigned(self, origin: str) -> bytes:
        """Fetches the checkpoint of a log that the witness below this URL cosigned last; raises as `checkpoint`.

        A NotFoundError has the reason NEVER_COSIGNED when a node says so in its own words.
        """
        return await self._get(monitoring_path(origin), MAX_NOTE_BYTES)

    def close(self) -> None:
        """Closes the connections that rest; that of a request under way is closed as soon as it is answered."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _get(self, path: str, limit: int) -> bytes:
        status, body = await asyncio.to_thread(self._exchange, "GET", f"{self._prefix}/{path}", None, limit=limit)
        if status == 404:
            reason = NEVER_COSIGNED if body.endswith(f"[{NEVER_COSIGNED}]\n".encode()) else "FILE_MISSING"
            raise NotFoundError(reason, f"{self._url} has no {path}")
        if status != 200:
            kind = UnavailableError if status in _NOT_NOW else MalformedError
            raise kind("READ_STATUS", f"expected {path} from {self._url}, got status {status}")
        return body

    def _exchange(self, verb: str, path: str, body: bytes | None, *, limit: int) -> tuple[int, bytes]:
        """Sends one request; kept connections that the server closed meanwhile are replaced."""
        until = monotonic() + self._timeout_seconds
        while True:
            try:
                connection, reused = self._idle.pop(), True
            except IndexError:
                connection, reused = self._connect(), False
            try:
                connection.timeout = _seconds_left(until)
                if connection.sock is not None:
                    connection.sock.settimeout(connection.timeout)
                connection.response_class = partial(_response, until=until)  # type: ignore[assignment]
                return self._talk(connection, verb, path, body=body, limit=limit)
            except (OSError, HTTPException) as error:
                connection.close()
                if not reused:
                    raise UnavailableError("READ_FAILED", f"no answer from {self._url}: {error}") from error

    def _talk(
        self, connection: HTTPConnection, verb: str, path: str, *, body: bytes | None, limit: int
    ) -> tuple[int, bytes]:
        connection.request(verb, path, body=body, headers={"Accept-Encoding": "identity"})
        response = connection.getresponse()
        found = response.read(limit + 1)
        if len(found) > limit:
            connection.close()
            raise MalformedError("READ_SIZE", f"expected at most {limit} bytes of {path} from {self._url}")
        if len(self._idle) < _MAX_IDLE and not response.will_close and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return response.status, found

    def _connect(self) -> HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=context)
        return HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)


def _seconds_left(until: float) -> float:
    """Returns how long it is until that moment of the monotonic clock; raises TimeoutError when it has come."""
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError("the time of the call is over")
    return left


class _Receiving(io.RawIOBase):
    """Reads from a socket until a moment: its own limit is for each read, so a byte at a time would never end."""

    def __init__(self, connected: socket, until: float) -> None:
        self._socket, self._until = connected, until
        self._raw = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - of any buffer
        self._socket.settimeout(_seconds_left(self._until))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _response(connected: socket, *, method: str | None, until: float) -> HTTPResponse:
    receiving = _Receiving(connected, until)
    return HTTPResponse(receiving, method=method)  # type: ignore[arg-type]  # of a socket it asks the file alone


class WitnessClients:
    """Posts checkpoints to witnesses, named by the URL below which they answer; one kept `ReadClient` for each."""

    def __init__(self, *, timeout_seconds: float = 1.0) -> None:
        """The time is each call's limit: a witness that is slower is asked again a tick later."""
        self._timeout_seconds = timeout_seconds
        self._clients: dict[str, ReadClient] = {}

    async def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Posts an `add-checkpoint` request; raises as `ReadClient.add_checkpoint`."""
        return await self._client(url).add_checkpoint(body)

    async def ask(self, url: str, origin: str) -> bytes:
        """Reads what the witness cosigned last of an origin; raises as `ReadClient.last_cosigned`."""
        return await self._client(url).last_cosigned(origin)

    def _client(self, url: str) -> ReadClient:
        client = self._clients.get(url)
        if client is None:
            client = self._clients[url] = ReadClient(url, timeout_seconds=self._timeout_seconds)
        return client

    def close(self) -> None:
        for client in self._clients.values():
            with contextlib.suppress(OSError):
                client.close()
