"""A hostile HTTP/2 client over mutual TLS, as small as can be: it sends what it wants and reads what it must, or nothing."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from federation.wire.rpc import TlsFiles

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE: Final = 4
CHUNK: Final = 16_384
SECONDS: Final = 60


class RawHttp2:
    def __init__(self, tls: ssl.SSLSocket, *, window: int = 65_535) -> None:
        """Greets the server; `window` is how much of an answer it may send before we read any: 0 for a slow reader."""
        self._tls = tls
        self._next_stream = 1
        self._windows = {0: 65_535}
        self._their_window = 65_535
        self._buffer = b""
        self.ended: set[int] = set()
        self.answered: set[int] = set()
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(SETTINGS, 0, 0, struct.pack("!HI", INITIAL_WINDOW_SIZE, window))

    def open_stream(self, path: str, **headers: str) -> int:
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        named = {
            ":method": "POST", ":scheme": "https", ":path": path, ":authority": "node", "te": "trailers",
            "content-type": "application/grpc", "grpc-timeout": "60S",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in named.items())
        self._windows[stream] = self._their_window
        self._send(HEADERS, END_HEADERS, stream, block)
        return stream

    def ask(self, path: str, message: bytes = b"", **headers: str) -> int:
        """Opens a stream and sends one short message."""
        stream = self.open_stream(path, **headers)
        self._send(DATA, END_STREAM, stream, b"\0" + struct.pack("!I", len(message)) + message)
        return stream

    def answers(self, path: str) -> bool:
        """Asks and reads; True when an answer came, False when the call was refused."""
        stream = self.ask(path)
        while stream not in self.ended:
            self.read_frame()
        return stream in self.answered

    def begin(self, path: str, size: int) -> int:
        """Opens a stream and says that a message of that size follows."""
        stream = self.open_stream(path)
        self.send(stream, b"\0" + struct.pack("!I", size))
        return stream

    def pour(self, streams: Sequence[int], most: int) -> None:
        """Sends into each stream what the server takes, until it takes no more or that much went into each."""
        left = dict.fromkeys(streams, most)
        for _ in range(200):
            sent = 0
            for stream in left.keys() - self.ended:
                room = min(self._windows[0], self._windows[stream], CHUNK, left[stream])
                if room > 0:
                    self.send(stream, bytes(room))
                    left[stream] -= room
                    sent += room
            self._send(PING, 0, 0, bytes(8))
            while self.read_frame() != PING:
                pass
            if not sent:
                return

    def send(self, stream: int, body: bytes) -> None:
        """Sends bytes as the server's windows allow, until all is sent or the server ended the stream."""
        while body and stream not in self.ended:
            room = min(self._windows[0], self._windows[stream], CHUNK, len(body))
            if room <= 0:
                self.read_frame()
                continue
            self._windows[0] -= room
            self._windows[stream] -= room
            self._send(DATA, 0, stream, body[:room])
            body = body[room:]

    def take(self, stream: int) -> None:
        """Opens the window of a stream that was not read."""
        self._send(WINDOW_UPDATE, 0, stream, (1 << 20).to_bytes(4))

    def read_frame(self) -> int:
        """Takes one frame and returns its type; ConnectionError when the server hung up."""
        head = self._read(9)
        kind, flags = head[3], head[4]
        stream = int.from_bytes(head[5:9]) & 0x7FFF_FFFF
        payload = self._read(int.from_bytes(head[:3]))
        if kind == WINDOW_UPDATE:
            self._windows[stream] = self._windows.get(stream, 0) + int.from_bytes(payload)
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(payload)
        elif kind == PING and not flags & ACK:
            self._send(PING, ACK, 0, payload)
        if kind == DATA:
            self.answered.add(stream)
            for where in (0, stream) if payload else ():
                self._send(WINDOW_UPDATE, 0, where, len(payload).to_bytes(4))
        if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
            self.ended.add(stream)
        return kind

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack("!HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                change, self._their_window = value - self._their_window, value
                for stream in self._windows.keys() - {0}:
                    self._windows[stream] += change
        self._send(SETTINGS, ACK, 0, b"")

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._tls.sendall(len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload)

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = self._tls.recv(65_536)
            if not more:
                raise ConnectionResetError("the server hung up")
            self._buffer += more
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found


def _text(text: str) -> bytes:
    assert len(text) < 127
    return bytes((len(text),)) + text.encode()


@contextmanager
def connected(
    port: int, tls: TlsFiles, authority: Path, *, window: int = 65_535, source: str = "127.0.0.1"
) -> Iterator[RawHttp2]:
    """A connection to a port of a node, with the certificate of a caller; gone at the end."""
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False
    context.load_cert_chain(tls.certificate, tls.key)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS, source_address=(source, 0)) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        yield RawHttp2(wrapped, window=window)
