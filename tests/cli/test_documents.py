"""Tests of `bridgehead case document`: added, listed and fetched at real nodes; what a break leaves is gone on with."""

from __future__ import annotations

import pytest

from federation.cli import documents
from federation.cli.documents import document_lines
from federation.protocol.errors import UnavailableError
from federation.protocol.form import replace
from tests.wire.document_answers import LIST

TOWN, PEER = "zhejiang/330822/town", "jiangxi/361123/governance"
CONTENT = b"%PDF-1.7\n" + bytes(range(256)) * 64


@pytest.fixture(scope="module")
def code(nodes):
    """A case of Changshan and Yushan."""
    opened = nodes.ask(
        TOWN, "case", "open", "dispute-mediation", "--role", "town", "--division", "330822",
        "--set", "stage=registration", "--set", "source=walk_in", "-o", "json",
    ).json  # fmt: skip
    made = opened["line"]["code"]
    nodes.ask(TOWN, "case", "invite", made, PEER, "peer")
    nodes.delivered(TOWN)
    nodes.ask(PEER, "case", "join", made)
    nodes.delivered(PEER)
    return made


def test_document_is_added_listed_and_fetched_across_the_border(nodes, code, tmp_path):
    """What Changshan adds Yushan lists and fetches, byte for byte; nobody else may read the file."""
    file = tmp_path / "协议.pdf"
    file.write_bytes(CONTENT)
    nodes.ask(TOWN, "case", "document", "add", code, file, "--chunk", "4096")
    nodes.delivered(TOWN)

    listed = nodes.ask(PEER, "case", "document", "list", code, "-o", "json").json["lines"]
    (line,) = (
        line for line in listed if line["manifest"]["name"] == "协议.pdf"
    )  # the other tests may have theirs in it
    assert (line["manifest"]["name"], line["here"], line["item"]) == ("协议.pdf", 0, 1)
    to = tmp_path / "fetched"
    to.mkdir()
    nodes.ask(PEER, "case", "document", "get", code, line["entry"][:16], "--to", to)
    assert (to / "协议.pdf").read_bytes() == CONTENT
    assert (to / "协议.pdf").stat().st_mode & 0o777 == 0o600
    assert list(to.iterdir()) == [to / "协议.pdf"]
    assert "已在本省 here" in nodes.ask(PEER, "case", "document", "list", code).out
    refused = nodes.ask(PEER, "case", "document", "get", code, line["entry"][:16], "--to", to, code=1)
    assert "FILE_EXISTS" in refused.err
    assert "name another one: --to\n" in refused.err
    (part,) = [to / f"协议.pdf.{line['manifest']['root'][:16]}.part"]
    (to / "协议.pdf").unlink()
    part.write_bytes(CONTENT[:5000])
    nodes.ask(PEER, "case", "document", "get", code, line["entry"][:16], "--to", to)
    assert (to / "协议.pdf").read_bytes() == CONTENT


def test_upload_that_broke_off_goes_on(nodes, code, tmp_path, monkeypatch):
    """A break in the middle is told, and the next try sends what is missing alone."""
    file = tmp_path / "笔录.pdf"
    file.write_bytes(CONTENT + b"other")
    send, sent = documents._send, []

    async def breaks(client, act, chunk):
        sent.append(chunk.number)
        if len(sent) == 3:
            raise UnavailableError("PEER_UNREACHABLE", "the line was cut")
        return await send(client, act, chunk)

    monkeypatch.setattr(documents, "_send", breaks)
    monkeypatch.setattr(documents, "_PAUSE_SECONDS", 0)
    shown = nodes.ask(TOWN, "case", "document", "add", code, file, "--chunk", "4096")
    assert sent == [0, 1, 2, 2, 3, 4]
    assert "中断，继续" in shown.err


def test_what_is_no_document_is_not_sent(nodes, code, tmp_path):
    """A program by its name or by its bytes stays where it is, with what to do."""
    for name, content in (("a.exe", CONTENT), ("a.pdf", b"MZ" + CONTENT)):
        (tmp_path / name).write_bytes(content)
        assert "DOCUMENT_PROGRAM" in nodes.ask(TOWN, "case", "document", "add", code, tmp_path / name, code=1).err


def test_lines_say_how_much_is_here_and_why_no_more_comes():
    """One that is on its way counts its chunks; a reason stands behind."""
    (line,) = LIST.lines
    assert next(iter(document_lines(line))).endswith("1/2 块 chunks")
    assert next(iter(document_lines(replace(line, reason="INCLUSION")))).endswith("(INCLUSION)")
    assert next(iter(document_lines(replace(line, here=2)))).endswith("已在本省 here")


def test_picture_of_an_alert_is_fetched_by_the_desk_across(nodes, tmp_path):
    """Added by a note, listed and fetched byte for byte at the neighbour's, which says where it may be seen which."""
    file, police = tmp_path / "照片.jpg", "zhejiang/330822/police"
    file.write_bytes(b"\xff\xd8\xff" + CONTENT)
    raised = nodes.ask(
        police, "alert", "raise", "help.missing", "--desk", "330822.police", "--area", "330822.circle.qiuchuan",
        "--detail", "clothing=灰色外套", "--tick", "family_consent", "--tick", "both_sides", "-o", "json",
    ).json  # fmt: skip
    number = raised["line"]["cap_id"]
    assert "记事" in nodes.ask(police, "alert", "document", "add", number, file).out
    nodes.delivered(police)

    (line,) = nodes.ask(PEER, "alert", "document", "list", number, "-o", "json").json["lines"]
    to = tmp_path / "fetched"
    to.mkdir()
    nodes.ask(PEER, "alert", "document", "get", number, line["entry"][:16], "--to", to)
    assert (to / "照片.jpg").read_bytes() == file.read_bytes()
    assert "结束即销毁" in nodes.ask(police, "alert", "cancel", number, "--why", "解除预警").err
    nodes.delivered(police)
    gone = nodes.ask(PEER, "alert", "document", "get", number, line["entry"][:16], "--to", to, "-o", "json", code=1)
    assert (gone.error["reason"], "document list" in gone.error["next"][0]) == ("DOCUMENT_NOT_OPEN", True)
