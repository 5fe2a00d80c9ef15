# ruff: noqa: INP001 - a program beside the provinces' folders, not a module of a package
"""Writes each province's synthetic seed registers: `python nodes/seed.py`.

`nodes/<province>/permits.csv`, `vehicles.csv` and `enterprises.csv`, all of one county; the people of the first keep
the vehicles and stand for the enterprises. The files are committed; a test writes them again and wants no difference.
Nobody in them exists: born 2100-2299, plates with an I, codes of the series DEM0. Load them with
`bridgehead permit import nodes/zhejiang/permits.csv` as the service hall of that county, `bridgehead vehicle import` as
its police, `bridgehead enterprise import` as its market regulator.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import islice
from pathlib import Path

from federation.cli.demo.synthetic import (
    SYNTHETIC_NOTICE,
    synthetic_applications,
    synthetic_enterprises,
    synthetic_vehicles,
)
from federation.domain.permits import HOLDER_FIELDS, PermitApplication
from federation.domain.registers import enterprise_texts, vehicle_texts
from federation.protocol.ids import NodeName

COUNTIES = {"zhejiang": "330822", "jiangxi": "361123", "fujian": "350722", "anhui": "341022"}
"""The county whose register each province's file is: Changshan, Yushan, Pucheng, Xiuning."""
ROWS = 40
THINGS = 24
"""So many vehicles and so many enterprises."""
SEED = 2026
AS_OF = date(2026, 11, 1)
FIELDS = (
    *HOLDER_FIELDS, "residence_division", "residence_address", "work_division", "issuer", "ground",
    "residence_since", "apply_date", "accept_date", "papers", "guardian", "sealed", "issue_date",
)  # fmt: skip


def write_register(province: str, path: Path) -> None:
    """Writes the seed register of a province."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {SYNTHETIC_NOTICE}\n")
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rows(province))


def write_table(rows: Iterable[Mapping[str, str]], path: Path) -> None:
    """Writes a register whose rows all have the same fields."""
    found = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {SYNTHETIC_NOTICE}\n")
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def people_of(province: str) -> Iterator[PermitApplication]:
    """The people of a province's seed register whose record is not sealed and who are no children."""
    for found in _applications(province):
        if not found.sealed and not found.guardian:
            yield found


def _rows(province: str) -> Iterator[dict[str, str]]:
    return map(_row, _applications(province))


def _applications(province: str) -> Iterator[PermitApplication]:
    every = synthetic_applications(NodeName(province), 100_000, seed=SEED, today=AS_OF)
    return islice((found for found in every if found.residence_division == COUNTIES[province]), ROWS)


def _row(found: PermitApplication) -> dict[str, str]:
    return {
        **{name: str(getattr(found.holder, own) or "") for name, own in HOLDER_FIELDS.items()},
        "residence_division": found.residence_division,
        "residence_address": found.residence_address,
        "work_division": found.work_division or "",
        "issuer": found.issuer,
        "ground": found.ground,
        "residence_since": found.residence_since.isoformat(),
        "apply_date": found.apply_date.isoformat(),
        "accept_date": found.accept_date.isoformat(),
        "papers": ";".join(sorted(found.papers)),
        "guardian": str(found.guardian).lower(),
        "sealed": str(found.sealed).lower(),
        "issue_date": AS_OF.isoformat(),
    }


def main() -> None:
    """Writes all four below the folder given, else beside this program."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    for province in COUNTIES:
        (folder / province).mkdir(parents=True, exist_ok=True)
        write_register(province, folder / province / "permits.csv")
        people = list(people_of(province))[:THINGS]
        vehicles = synthetic_vehicles(people, seed=SEED, today=AS_OF)
        write_table(map(vehicle_texts, vehicles), folder / province / "vehicles.csv")
        enterprises = synthetic_enterprises(people, seed=SEED, today=AS_OF)
        write_table(map(enterprise_texts, enterprises), folder / province / "enterprises.csv")


if __name__ == "__main__":
    main()
