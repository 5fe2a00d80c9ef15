"""Rigs for the tests of the node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node.rig import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, Rig, running_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Zhejiang and Jiangxi; nothing is delivered unless the test starts it."""
    async with running_rig(tmp_path) as made:
        yield made


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[Rig]:
    """All four provinces."""
    async with running_rig(tmp_path, (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)) as made:
        yield made
