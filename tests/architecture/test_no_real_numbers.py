"""No tracked file holds a citizen number that a living person could have."""

import re
import subprocess
from datetime import date
from pathlib import Path

from federation.domain.citizen_number import check_character, format_citizen_number

ROOT = Path(__file__).parents[2]
CANDIDATE = re.compile(rb"(?<![0-9])(?=([1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9Xx])(?![0-9]))")
PROVINCES = frozenset(
    [*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83, 91]
)


def real_numbers_in(content: bytes) -> list[str]:
    """Finds every checksum-valid citizen number of 1900-2099; shows only where it is from and born."""
    found = []
    for match in CANDIDATE.finditer(content):
        text = match.group(1).decode().upper()
        try:
            date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
        except ValueError:
            continue
        if int(text[:2]) in PROVINCES and check_character(text[:17]) == text[17]:
            found.append(f"{text[:10]}********")
    return found


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_holds_a_number_that_could_be_real():
    """Synthetic people only: birth years 2100-2299."""
    found = {
        str(path.relative_to(ROOT)): numbers
        for path in tracked_files()
        if (numbers := real_numbers_in(path.read_bytes()))
    }
    assert found == {}


def test_scan_finds_a_number_put_together_at_run_time():
    """The scan sees a number of today wherever it stands, with a lower-case x too, and leaves synthetic ones alone."""
    for sequence in range(1, 40):
        number = format_citizen_number("330822", date(1990, 3, 7), sequence=sequence)
        for text in (number, f"id={number},", f"a{number.lower()}b", f"{number}\n", f"用户{number}号"):
            assert len(real_numbers_in(text.encode())) == 1
        assert real_numbers_in(format_citizen_number("330822", date(2190, 3, 7), sequence=sequence).encode()) == []


def test_scan_passes_over_longer_digit_strings_and_wrong_dates():
    """Digits inside a longer number, an impossible date or a wrong check character are no citizen number."""
    number = format_citizen_number("330822", date(1990, 3, 7), sequence=1)
    body = f"33082219901307{number[14:17]}"
    wrong = number[:17] + ("0" if number[17] != "0" else "1")
    for text in (f"1{number}", f"{number}7", body + check_character(body), wrong):
        assert real_numbers_in(text.encode()) == []


def test_scan_looks_at_this_repository():
    """Git lists the files of this very house."""
    assert ROOT / "federation" / "domain" / "citizen_number.py" in tracked_files()
