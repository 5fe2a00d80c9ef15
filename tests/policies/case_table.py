"""The policies of this repository and their case tables, for the tests."""

from __future__ import annotations

from pathlib import Path

from federation.domain.cases import Case, parse_cases
from federation.protocol.policy import PolicyBook

ROOT = Path(__file__).parents[2]


def policy_files() -> dict[str, bytes]:
    """The files as the agreement carries them: by their path from the root."""
    return {f"policies/{path.name}": path.read_bytes() for path in (ROOT / "policies").iterdir() if path.is_file()}


def load_cases(name: str, book: PolicyBook) -> tuple[Case, ...]:
    return parse_cases((ROOT / "policies" / "cases" / name).read_text(), book)
