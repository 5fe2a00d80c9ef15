"""Applications of invented people, as rows that a clerk types or imports."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

from federation.cli.permits import invent_one
from federation.cli.show import china_today
from federation.protocol.ids import parse_agency_id
from tests.cli.command_line import HALL, row_of

AGENCY = parse_agency_id(HALL)
REQUEST = "11111111-1111-4111-8111-111111111111"


def person(seed, *, household="361123", years_ago=0):
    """The row of an invented person who applied so many years ago."""
    day = china_today() - timedelta(days=366 * years_ago)
    return row_of(invent_one(AGENCY, household=household, seed=seed, today=day))


def csv_of(path, rows, *, encoding="utf-8"):
    """The rows as a file with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding=encoding)
    return path


def wrong_check(number):
    """The same citizen number under another check character."""
    return number[:17] + ("0" if number[17] != "0" else "1")
