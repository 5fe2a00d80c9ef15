"""Four real nodes for the tests of the permit commands: each test module has its own."""

from __future__ import annotations

import pytest

from tests.cli.command_line import ServedNodes


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Four provinces that serve until the last test of the module."""
    served = ServedNodes(tmp_path_factory.mktemp("permits"))
    yield served
    served.close()
