"""Heads as the audit accepts them, and how many witnesses stand behind a log."""

from __future__ import annotations

from datetime import timedelta

from federation.audit.report import Code
from federation.audit.verify_log import HeadAccount, verify_head, witnessed_size
from federation.protocol.trust.witnesses import log_policy
from tests.audit.provinces import ANHUI, FUJIAN, JIANGXI, NOW, ZHEJIANG, Province, Provinces

ALL = (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)


def head(provinces: Provinces, note: bytes) -> HeadAccount:
    return verify_head(ZHEJIANG, note, agreement=provinces.agreement, now=NOW, where="that it publishes")


def test_head_with_witness_lines_names_the_witnesses() -> None:
    """Lines are counted by key, each once."""
    provinces = Provinces(*ALL)
    log = provinces[ZHEJIANG]
    lines = [provinces[node].cosign(log) for node in (JIANGXI, FUJIAN, JIANGXI)]

    found = head(provinces, log.note() + b"".join(lines))

    assert found.witnesses == {JIANGXI, FUJIAN}
    assert found.findings == ()


def test_head_with_a_stranger_s_line_ignores_it() -> None:
    """A line by a key that the agreement does not name says nothing."""
    provinces = Provinces(*ALL)
    line = Province(ANHUI.replace("a", "b")).cosign(provinces[ZHEJIANG])  # type: ignore[arg-type]

    assert head(provinces, provinces[ZHEJIANG].note() + line).witnesses == frozenset()


def test_head_with_a_witness_line_from_the_future_is_found() -> None:
    """A witness does not date ahead of the clocks; the head itself still counts."""
    provinces = Provinces(*ALL)
    log = provinces[ZHEJIANG]
    line = provinces[JIANGXI].cosign(log, now=NOW + timedelta(hours=1))

    found = head(provinces, log.note() + line)

    assert [finding.code for finding in found.findings] == [Code.COSIGNATURE_INVALID]
    assert found.checkpoint == log.head()
    assert found.witnesses == frozenset()


def test_head_that_is_no_note_is_found() -> None:
    """Bytes that are no checkpoint say nothing about the log."""
    found = head(Provinces(*ALL), b"hello\n")

    assert [finding.code for finding in found.findings] == [Code.CHECKPOINT_INVALID]
    assert found.seen is None


def test_witnessed_size_is_what_enough_witnesses_cover() -> None:
    """Three of four exclude two histories while one node lies."""
    provinces = Provinces(*ALL)
    log = provinces[ZHEJIANG]
    heads = []
    for witness in (JIANGXI, FUJIAN, ANHUI):
        provinces.send(ZHEJIANG, JIANGXI)
        provinces[witness].cosign(log)
        heads.append(head(provinces, provinces[witness].others[log.vkey.name]))

    policy = log_policy(provinces.agreement, ZHEJIANG)
    assert witnessed_size(heads, policy) == (3, 1)
    assert witnessed_size(heads[:2], policy) == (2, 0)
    assert witnessed_size([], policy) == (0, 0)
