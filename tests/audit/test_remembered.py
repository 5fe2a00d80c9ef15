"""What an auditor remembers between two audits."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.audit.remembered import load_remembered, save_remembered
from federation.protocol.errors import MalformedError, UnavailableError
from tests.audit.provinces import ZHEJIANG, Provinces


def test_remembered_heads_come_back_as_they_were_signed(tmp_path: Path) -> None:
    """The notes are kept verbatim: they are the proof if the log is rewritten later."""
    province = Provinces()[ZHEJIANG]
    notes = {province.vkey.name: province.note()}

    save_remembered(tmp_path / "heads.json", notes)

    assert load_remembered(tmp_path / "heads.json") == notes
    assert [path.name for path in tmp_path.iterdir()] == ["heads.json"]


def test_first_audit_remembers_nothing(tmp_path: Path) -> None:
    """No file is no memory, not an error."""
    assert load_remembered(tmp_path / "heads.json") == {}


@pytest.mark.parametrize("text", ['{"heads":{},"v":2}', '{"heads":{}}', "{", '{"heads":{"x":1},"v":1}'])
def test_damaged_memory_is_refused(tmp_path: Path, text: str) -> None:
    """An auditor who forgot must know it: a rollback would go unseen."""
    path = tmp_path / "heads.json"
    path.write_text(text)

    with pytest.raises(MalformedError):
        load_remembered(path)


def test_memory_that_cannot_be_read_or_written_is_unavailable(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(UnavailableError):
        load_remembered(tmp_path)
    with pytest.raises(UnavailableError):
        save_remembered(tmp_path / "absent" / "heads.json", {})
