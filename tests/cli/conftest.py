"""Four real nodes for the tests of the commands; modules keep apart by their counties, persons and cases."""

from __future__ import annotations

import logging

import pytest
import structlog

from federation.cli import audit
from tests.cli.command_line import ServedNodes


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    """The nodes of this process write no log line between the data that a command prints."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def impatient(monkeypatch):
    """The auditor looks once more, and no second longer, for witnesses that nobody plays here."""
    monkeypatch.setattr(audit, "WITNESS_SECONDS", 0.1)


@pytest.fixture(scope="session")
def nodes(tmp_path_factory):
    """Four provinces that serve until the last test, also beside those of other folders: they look for no other agreement."""
    served = ServedNodes(tmp_path_factory.mktemp("nodes"), agreement_seconds=600)
    yield served
    served.close()
