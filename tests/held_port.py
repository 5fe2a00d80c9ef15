"""A port that a hostile or broken server holds: it is silent, answers one byte at a time, or says what it likes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]


def silent(_connection: socket.socket) -> None:
    """Takes the connection and says nothing."""


def drip(connection: socket.socket) -> None:
    """Answers without end, each byte well within any limit of one read."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def saying(answer: bytes, *, status: str = "200 OK") -> Answer:
    """Answers every request with these bytes."""

    def answer_and_close(connection: socket.socket) -> None:
        connection.recv(4096)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + answer)
        connection.close()

    return answer_and_close


@contextmanager
def held_port(port: int, answer: Answer) -> Iterator[int]:
    """Answers every connection to a port of the loopback address, 0 for any; yields the port."""
    kept: list[socket.socket] = []

    def serve_one(connection: socket.socket) -> None:
        with suppress(OSError):
            answer(connection)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                kept.append(listening.accept()[0])
                threading.Thread(target=serve_one, args=(kept[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for connection in kept:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
