"""Fixtures of the wire's tests: three CAs, and a house to open ports in."""

from pathlib import Path

import pytest

from federation.protocol.ids import NodeName
from tests.wire.calls import Functions
from tests.wire.certificates import Authority
from tests.wire.house import FUJIAN, JIANGXI, ZHEJIANG, House


@pytest.fixture(scope="session")
def authorities() -> dict[NodeName, Authority]:
    return {name: Authority(name) for name in (JIANGXI, ZHEJIANG, FUJIAN)}


@pytest.fixture
def house(tmp_path: Path, authorities: dict[NodeName, Authority]) -> House:
    return House(folder=tmp_path, authorities=dict(authorities), functions=Functions())
