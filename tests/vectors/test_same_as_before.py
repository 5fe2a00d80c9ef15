"""The codecs beside those they replace, which git still has: the same bytes are taken and written, the same refused."""

import importlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError
from tests.vectors import test_items

ROOT = Path(__file__).resolve().parents[2]
BEFORE = "cc8b623"
CHANGED = {
    # the form of a name or a time is told before its length
    ("permit-item", "PERMIT_VALUE", "PERMIT_URN"),
    *((kind, "JSON_TYPE", reason) for kind in ("given", "subject-report") for reason in ("AGENCY_ID", "NODE_NAME", "TIME")),
    # a missing name is told as missing, a value of another type as such
    *((kind, "JSON_TYPE", "JSON_MISSING_NAME") for kind in ("lookup-answer", "reading", "subject-report", "correction-notice")),
    *((kind, "JSON_MISSING_NAME", "JSON_UNKNOWN_NAME") for kind in ("correction-notice", "lookup-answer", "subject-report")),
    ("reading", "READING_KIND", "JSON_MISSING_NAME"),
    ("reading", "READING_KIND", "JSON_TYPE"),
    ("intake-entry", "INTAKE_FORM", "JSON_TYPE"),
    ("lookup-release", "LOOKUP_FIELD", "JSON_TYPE"),
    # of two faults, that of a value is told before that of the name that it stands under
    *((kind, reason, "JSON_TYPE") for kind in ("members", "bundle") for reason in ("NODE_NAME", "AGENCY_ID")),
}  # fmt: skip
WORDS = (
    "", "x", "é", "徐谷雨", "2026-02-29", "2026-02-28", "20260228", "2026-W01-1", "\n", " ", "a\u007f", "\u200b", '"\\', "﻿",
    "2026-11-23T08:00:00.000Z", "2026-11-23T24:00:00.000Z", "2026-11-23T08:00:00Z", "0" * 64, "A" * 64, "0" * 201,
    "zhejiang", "zhejiang/330822/police", "zhejiang>jiangxi", "330822", "33082２", "F01", "true", "361123219003070012",
    "0193587f-0a00-7000-8000-000000000000", "0193587f-0a00-4000-8000-000000000000", "urn:permit:330822:2025:000123",
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.sampled_from(WORDS), st.text(st.characters(codec="utf-8"), max_size=8),
    st.integers(-2, 3), st.sampled_from([2**53 - 1, 2**53, 2**63, 2**64]), st.sampled_from([[], {}, [""], ["b", "a"]]),
)  # fmt: skip


@cache
def kinds_before():
    """The table of kinds over the code of that commit, under another name."""
    folder = Path(tempfile.mkdtemp())
    packed = subprocess.run(
        ["git", "archive", BEFORE, "federation/protocol", "federation/domain", "tests/vectors/test_items.py"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    (folder / "federation").rename(folder / "before")
    (folder / "tests/vectors/test_items.py").rename(folder / "before/kinds.py")
    for path in folder.rglob("*.py"):
        path.write_text(re.sub(r"\bfederation\.(protocol|domain)", r"before.\1", path.read_text()))
    sys.path.insert(0, str(folder))
    return importlib.import_module("before.kinds").KINDS


def verdict(kind, encoded, root):
    """The bytes that the value is written in, or the reason of the refusal."""
    try:
        return kind.encode(kind.decode(encoded))
    except root as error:
        return error.reason


def paths(value, way=()):
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, within in found:
        yield (*way, step)
        yield from paths(within, (*way, step))


@st.composite
def spoilt(draw, name):
    """Bytes of a kind with one place changed, dropped, added, exchanged with another, or one byte changed."""
    text = draw(st.sampled_from(test_items.corpus(name)["accepted"]))
    how = draw(st.sampled_from(["put", "drop", "add", "byte", "same"]))
    if how == "same":
        return text.encode()
    if how == "byte":
        encoded = bytearray(text.encode())
        encoded[draw(st.integers(0, len(encoded) - 1))] = draw(st.integers(0, 255))
        return bytes(encoded)
    value = json.loads(text)
    *way, last = draw(st.sampled_from(list(paths(value))))
    within = value
    for step in way:
        within = within[step]
    if how == "put":
        within[last] = draw(LEAVES)
    elif how == "drop":
        del within[last]
    elif isinstance(within, dict):
        within[draw(st.sampled_from(["zz", "a", *WORDS]))] = draw(LEAVES)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", test_items.KINDS)
def test_codec_takes_writes_and_refuses_as_before(name):
    """No byte string changes its meaning, and no refusal its reason."""
    root = sys.modules[kinds_before()["leaf"].decode.__module__.replace("leaf", "errors")].BridgeheadError

    @settings(max_examples=300, deadline=None)
    @given(spoilt(name))
    def same(encoded):
        before = verdict(kinds_before()[name], encoded, root)
        now = verdict(test_items.KINDS[name], encoded, BridgeheadError)
        if isinstance(before, bytes) and before != encoded:
            assert isinstance(now, str), "what was taken and written otherwise is refused now"
        elif (name, before, now) not in CHANGED:
            assert now == before

    same()
