"""Four real nodes for the tests of the commands; modules keep apart by their counties, persons and cases."""

from __future__ import annotations

import pytest

from tests.cli.command_line import ServedNodes


@pytest.fixture(scope="session")
def nodes(tmp_path_factory):
    """Four provinces that serve until the last test."""
    served = ServedNodes(tmp_path_factory.mktemp("nodes"))
    yield served
    served.close()
