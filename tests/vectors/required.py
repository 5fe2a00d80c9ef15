"""What a machine may lack: a Go compiler. Missing, a test is skipped with its reason, or fails.

It fails where `BRIDGEHEAD_REQUIRE_ALL=1`, so that a full run cannot pass by skipping.
"""

import os
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """Skips the test, or fails it where everything is required."""
    if os.environ.get("BRIDGEHEAD_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
