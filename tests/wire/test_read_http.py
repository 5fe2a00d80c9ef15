"""The read side over real HTTP: paths, content types, caching, the witness's answers, limits, and its client."""

import asyncio
import contextlib
import gzip
from hashlib import sha256
from http.client import HTTPConnection

import pytest

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError, UnavailableError
from federation.protocol.tlog.tiles import ENTRIES, Tile, encode_bundle
from federation.protocol.tlog.witness import SIZE, TEXT, Status, WitnessAnswer
from federation.wire.read_client import ReadClient, WitnessClients
from federation.wire.read_connections import CONNECTIONS_KEPT, CONNECTIONS_OF_ALL
from federation.wire.read_http import ReadFunctions, read_app, serve_http
from tests.held_port import drip, held_port

CHECKPOINT = b"jiangxi.bridgehead.example/exchange/2026\n12\nroot\n\nline\n"
ORIGIN = "zhejiang.bridgehead.example/exchange/2026"
BUNDLE = encode_bundle([b'{"kind":"sent"}'] * 256)
TILES = {
    Tile(0, 0): b"h" * 8192,
    Tile(0, 1234067, 7): b"p" * 224,
    Tile(ENTRIES, 0): BUNDLE,
    Tile(ENTRIES, 1, 2): encode_bundle([b"a", b"b"]),
}


class Site:
    """What the functions say; a test replaces what it wants."""

    def __init__(self):
        self.answer = WitnessAnswer(status=Status.COSIGNED, body="— line\n".encode())
        self.trouble: str | None = None
        self.failure: Exception | None = None
        self.posted: list[bytes] = []

    async def checkpoint(self):
        if self.failure:
            raise self.failure
        return CHECKPOINT

    async def tile(self, tile):
        if tile not in TILES:
            raise NotFoundError("TILE_MISSING", f"no {tile}")
        return TILES[tile]

    async def add_checkpoint(self, body):
        self.posted.append(body)
        return self.answer

    async def cosigned(self, origin_hash):
        if origin_hash != sha256(ORIGIN.encode()).hexdigest():
            raise NotFoundError("NEVER_COSIGNED", "none")
        return CHECKPOINT

    async def health(self):
        return self.trouble


@contextlib.asynccontextmanager
async def _serve(site: Site, **named):
    functions = ReadFunctions(
        checkpoint=site.checkpoint,
        tile=site.tile,
        add_checkpoint=site.add_checkpoint,
        cosigned=site.cosigned,
        health=site.health,
    )
    running = await serve_http(read_app(functions), host="127.0.0.1", port=0, **named)
    try:
        yield running.port
    finally:
        await running.stop()


def _ask(port: int, verb: str, path: str, body: bytes | None = None, **headers: str):
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            verb, path, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        response = connection.getresponse()
        return response.status, {name.lower(): text for name, text in response.getheaders()}, response.read()
    finally:
        connection.close()


async def _get(site: Site, path: str, **headers: str):
    async with _serve(site) as port:
        return await asyncio.to_thread(_ask, port, "GET", path, **headers)


async def test_checkpoint_is_fresh_text():
    """The head is plain text and cached a few seconds at most."""
    status, headers, body = await _get(Site(), "/checkpoint")

    assert (status, body) == (200, CHECKPOINT)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "max-age=2"


@pytest.mark.parametrize(
    ("path", "tile", "immutable"),
    [
        ("/tile/0/000", Tile(0, 0), True),
        ("/tile/0/x001/x234/067.p/7", Tile(0, 1234067, 7), False),
        ("/tile/entries/000", Tile(ENTRIES, 0), True),
        ("/tile/entries/001.p/2", Tile(ENTRIES, 1, 2), False),
    ],
)
async def test_tile_is_served_with_its_caching(path, tile, immutable):
    """Full tiles and bundles never change; partial ones may go."""
    status, headers, body = await _get(Site(), path)

    assert (status, body) == (200, TILES[tile])
    assert headers["content-type"] == "application/octet-stream"
    assert ("immutable" in headers["cache-control"]) is immutable


async def test_bundle_is_offered_as_gzip():
    """Entry bundles come as gzip to who asks, as they are to who does not."""
    status, headers, body = await _get(Site(), "/tile/entries/000", accept_encoding="gzip")

    assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
    assert gzip.decompress(body) == BUNDLE


@pytest.mark.parametrize(
    ("accepted", "coded"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip; q=1.000, identity;q=0.5", True),
        ("*", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip;q=0.2, identity", False),
        ("gzip;q=2", False),
        ("identity, *;q=0", False),
        ("br", False),
        ("", False),
    ],
)
async def test_bundle_is_coded_as_its_weights_say(accepted, coded):
    """RFC 9110 12.5.3: a weight of 0 is a no, also beside a star."""
    _, headers, body = await _get(Site(), "/tile/entries/000", accept_encoding=accepted)

    assert (headers.get("content-encoding") == "gzip") is coded
    assert (gzip.decompress(body) if coded else body) == BUNDLE


@pytest.mark.parametrize("path", ["/checkpoint/", "/healthz/", "/metrics/", "/witness/add-checkpoint/"])
async def test_nobody_is_sent_elsewhere(path):
    """A redirect would be built of the Host header, which whoever asks has written."""
    status, headers, _ = await _get(Site(), path, host="evil.example")

    assert status == 404
    assert "location" not in headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tile/0/001", 404),
        ("/tile/64/000", 400),
        ("/tile/0/1", 400),
        ("/tile/0/000.p/256", 400),
        ("/tile/0/000/../../checkpoint", 400),
        (f"/witness/{'0' * 64}/checkpoint", 404),
        ("/witness/ABC/checkpoint", 404),
        ("/elsewhere", 404),
        ("/metrics", 404),
    ],
)
async def test_path_that_is_none_of_ours_is_refused(path, status):
    """What would not be written is not read."""
    assert (await _get(Site(), path))[0] == status


@pytest.mark.parametrize("status", Status)
async def test_witness_answer_goes_out_as_it_is(status):
    """Each row of the table keeps its code, body and content type; 409 carries the size."""
    site = Site()
    content_type = SIZE if status is Status.OTHER_SIZE else TEXT
    site.answer = WitnessAnswer(status=status, body=b"12\n", content_type=content_type)
    async with _serve(site) as port:
        found = await asyncio.to_thread(_ask, port, "POST", "/witness/add-checkpoint", b"old 0\n\nx\n")

    assert (found[0], found[2]) == (int(status), b"12\n")
    assert found[1]["content-type"] == content_type
    assert site.posted == [b"old 0\n\nx\n"]


@pytest.mark.parametrize("chunked", [False, True], ids=["told", "chunked"])
async def test_body_over_the_limit_is_refused_while_it_is_read(chunked):
    """128 KiB is the most; a body without a length is cut off there, too."""
    site = Site()
    big = b"x" * (128 * 1024 + 1)
    async with _serve(site) as port:
        body = iter([big[:65536], big[65536:]]) if chunked else big
        status = await asyncio.to_thread(_status_of_post, port, body)

    assert status == 413
    assert site.posted == []


def _status_of_post(port, body):
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/witness/add-checkpoint", body=body)
        return connection.getresponse().status
    finally:
        connection.close()


async def test_get_of_a_post_path_is_refused():
    """The witness is posted to."""
    assert (await _get(Site(), "/witness/add-checkpoint"))[0] == 405


@pytest.mark.parametrize(("trouble", "status"), [(None, 200), ("the log contradicts itself", 503)])
async def test_health_says_what_is(trouble, status):
    """200 when all is well; 503 and the reason when not; never cached."""
    site = Site()
    site.trouble = trouble
    found = await _get(site, "/healthz")

    assert (found[0], found[2].decode()) == (status, f"{trouble or 'ok'}\n")
    assert found[1]["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("failure", "status", "told"),
    [
        (NotFoundError("EMPTY_LOG", "no checkpoint yet"), 404, "EMPTY_LOG"),
        (UnavailableError("CLOSING", "the node stops"), 503, "CLOSING"),
        (CorruptError("LOG_BROKEN", "the log contradicts itself"), 500, "LOG_BROKEN"),
    ],
)
async def test_error_of_the_house_has_its_code(failure, status, told):
    """The status table has the HTTP code of each class."""
    site = Site()
    site.failure = failure
    found = await _get(site, "/checkpoint")

    assert found[0] == status
    assert told in found[2].decode()


async def test_unknown_exception_is_opaque():
    """What is not an error of the house says nothing but an id."""
    site = Site()
    site.failure = RuntimeError("secret")
    status, _, body = await _get(site, "/checkpoint")

    assert status == 500
    assert b"secret" not in body


async def test_client_reads_what_the_server_serves():
    """The client of the audit floor: head, tiles, bundles, what a witness cosigned, and its post."""
    site = Site()
    async with _serve(site) as port:
        client = ReadClient(f"http://127.0.0.1:{port}/")
        assert await client.checkpoint() == CHECKPOINT
        assert await client.load(Tile(0, 0)) == TILES[Tile(0, 0)]
        assert await client.load(Tile(ENTRIES, 1, 2)) == TILES[Tile(ENTRIES, 1, 2)]
        assert await client.cosigned(ORIGIN) == CHECKPOINT
        with pytest.raises(NotFoundError, match="FILE_MISSING"):
            await client.load(Tile(0, 1))
        with pytest.raises(NotFoundError, match="NEVER_COSIGNED"):
            await client.cosigned("fujian.bridgehead.example/exchange/2026")
        witnesses = WitnessClients(timeout_seconds=60)
        url = f"http://127.0.0.1:{port}/witness"
        assert await witnesses.post(url, b"old 0\n") == (200, site.answer.body)
        assert await witnesses.ask(url, ORIGIN) == CHECKPOINT
        witnesses.close()
        client.close()

    assert site.posted == [b"old 0\n"]


async def test_client_finds_a_server_again_after_its_restart():
    """A kept connection that the server closed is replaced, unseen."""
    site = Site()
    async with _serve(site) as port:
        client = ReadClient(f"http://127.0.0.1:{port}")
        assert await client.checkpoint() == CHECKPOINT
        client._idle[0].sock.close()
        assert await client.checkpoint() == CHECKPOINT
        client.close()
    with pytest.raises(UnavailableError, match="READ_FAILED"):
        await client.checkpoint()


async def test_client_has_one_time_limit_for_the_whole_answer():
    """A byte at a time comes within the limit of each read, and would hold whoever asks for ever."""
    with held_port(0, drip) as port, pytest.raises(UnavailableError, match="READ_FAILED"):
        await ReadClient(f"http://127.0.0.1:{port}", timeout_seconds=0.3).checkpoint()


async def test_client_refuses_an_answer_over_the_limit(monkeypatch):
    """A hostile node cannot fill an auditor's memory."""
    from federation.wire import read_client

    monkeypatch.setattr(read_client, "MAX_NOTE_BYTES", len(CHECKPOINT) - 1)
    async with _serve(Site()) as port:
        with pytest.raises(MalformedError, match="READ_SIZE"):
            await ReadClient(f"http://127.0.0.1:{port}").checkpoint()


async def test_client_tells_an_unexpected_status():
    """Anything but 200 and 404 is no file."""
    site = Site()
    site.failure = UnavailableError("CLOSING", "the node stops")
    async with _serve(site) as port:
        client = ReadClient(f"http://127.0.0.1:{port}")
        with pytest.raises(UnavailableError, match="READ_STATUS"):
            await client.checkpoint()
        client.close()


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "host:7103", "http://host:99999", "http://host/?q=1"])
def test_client_of_a_url_that_is_none_is_refused(url):
    """Http or https, with a host, and nothing after the path."""
    with pytest.raises(MalformedError, match="READ_URL"):
        ReadClient(url)


async def test_port_that_is_taken_is_an_error_of_the_house():
    """The node says at start that it cannot listen."""
    async with _serve(Site()) as port:
        with pytest.raises(UnavailableError, match="PORT_TAKEN"):
            await serve_http(read_app(None), host="127.0.0.1", port=port)


async def _from(source: str, port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


async def test_who_is_named_has_connections_that_strangers_cannot_take():
    """Those of all are at work: a stranger is turned away, one that is named and the own host are answered.

    Beyond their own few they are like others, so that one of them cannot take the port either.
    """
    site, asked, go_on = Site(), asyncio.Semaphore(0), asyncio.Event()

    async def health():
        asked.release()
        await go_on.wait()

    site.health = health
    async with _serve(site, is_named=lambda source: source == "127.0.9.1") as port:
        busy = [await _from(f"127.0.1.{1 + number % 4}", port, "/healthz") for number in range(CONNECTIONS_OF_ALL)]
        busy += [await _from("127.0.9.1", port, "/healthz") for _ in range(CONNECTIONS_KEPT - 1)]
        for _ in busy:
            await asked.acquire()
        for source, answered in (("127.0.1.9", False), ("127.0.9.1", True), ("127.0.0.1", True)):
            reader, writer = await _from(source, port, "/checkpoint")
            with contextlib.suppress(ConnectionError):
                assert (CHECKPOINT in await reader.read()) is answered
            writer.close()
        busy.append(await _from("127.0.9.1", port, "/healthz"))
        await asked.acquire()
        reader, beyond = await _from("127.0.9.1", port, "/checkpoint")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        go_on.set()
        for each in (*busy, (reader, beyond)):
            each[1].close()


async def test_stranger_does_not_cut_who_is_named():
    """Who waits longest makes room, but never one that is named for one that is not."""
    async with _serve(Site(), is_named=lambda source: source == "127.0.9.1") as port:
        opened = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.9.1", 0))]
        for number in range(CONNECTIONS_OF_ALL + 20):
            source = (f"127.0.1.{1 + number % 8}", 0)
            opened.append(await asyncio.open_connection("127.0.0.1", port, local_addr=source))
        assert await opened[1][0].read() == b""
        reader, writer = opened[0]
        writer.write(b"GET /checkpoint HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n")
        assert CHECKPOINT in await reader.read()
        for _, each in opened:
            each.close()
