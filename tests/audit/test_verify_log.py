"""One log against its heads, bundle by bundle."""

from __future__ import annotations

from operator import attrgetter

import pytest

from federation.audit.leaves import rules_of
from federation.audit.report import Code
from federation.audit.verify_log import LogCheck, LogTask, SeenHead
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.tlog.merkle import EMPTY_ROOT
from federation.protocol.tlog.tiles import encode_bundle
from tests.audit.provinces import JIANGXI, NOW, ZHEJIANG, Provinces


@pytest.fixture
def provinces() -> Provinces:
    found = Provinces()
    for _ in range(8):
        found.send(ZHEJIANG, JIANGXI)
    return found


def check(provinces: Provinces, *seen: SeenHead, size: int = 8) -> LogCheck:
    task = LogTask(node=ZHEJIANG, head=provinces[ZHEJIANG].head(size), seen=sorted(seen, key=attrgetter("size")))
    return LogCheck(task, rules_of(provinces.agreement, NOW))


def finish(provinces: Provinces, checking: LogCheck, size: int = 8) -> list[Code]:
    checking.append_bundle(encode_bundle(provinces[ZHEJIANG].entries[:size]), size)
    return [finding.code for finding in checking.finish().findings]


def head(provinces: Provinces, size: int) -> SeenHead:
    return SeenHead(size=size, root=provinces[ZHEJIANG].head(size).root, where=f"of a receipt at {size}")


def test_every_head_on_the_tree_is_accepted_whatever_its_size(provinces: Provinces) -> None:
    """All heads that a log ever signed are prefixes of one tree; their order does not matter."""
    seen = [head(provinces, size) for size in (5, 0, 8, 1, 5, 3)]

    assert finish(provinces, check(provinces, *seen)) == []


@pytest.mark.parametrize("size", [0, 1, 5, 8])
def test_head_that_is_not_on_the_tree_is_a_fork(provinces: Provinces, size: int) -> None:
    """One signed head beside the tree is enough."""
    seen = [head(provinces, 1), replace(head(provinces, size), root=bytes(32)), head(provinces, 8)]

    assert finish(provinces, check(provinces, *seen)) == [Code.LOG_FORKED]


def test_head_beyond_the_published_one_is_a_rollback(provinces: Provinces) -> None:
    """A log that signed more than it shows has gone back."""
    assert finish(provinces, check(provinces, head(provinces, 8), size=5), size=5) == [Code.LOG_ROLLED_BACK]


def test_empty_log_has_the_root_of_the_empty_tree(provinces: Provinces) -> None:
    """Size 0, root SHA-256 of nothing."""
    account = check(provinces, size=0).finish()

    assert account.complete
    assert account.root == EMPTY_ROOT


def test_malformed_bundle_ends_the_reading(provinces: Provinces) -> None:
    """After bytes that are no entries nothing can be numbered."""
    checking = check(provinces)

    with pytest.raises(MalformedError):
        checking.append_bundle(b"\x00\xff", 8)
    account = checking.finish()
    assert not account.complete
    assert [finding.code for finding in account.findings] == [Code.BUNDLE_MALFORMED]
