"""Loads test vectors that others published; they are plain JSON kept outside the repository."""

import json
from pathlib import Path

from tests.vectors.required import skip_or_fail

_ROOT = Path(__file__).resolve().parents[2]
_PLACES = (_ROOT.parent / "shared" / "vectors", _ROOT / "tests" / "vectors" / "external")


def load_vectors(name: str):
    """Loads one file such as `merkle/inclusion.json`; skips or fails the test where no place has it."""
    path = next((place / name for place in _PLACES if (place / name).is_file()), None)
    if path is None:
        skip_or_fail(f"the published vectors {name} are in neither shared/vectors nor tests/vectors/external")
    return json.loads(path.read_text(encoding="utf-8"))
