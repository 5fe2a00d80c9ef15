# ruff: noqa: INP001 - a program beside the provinces' folders, not a module of a package
"""Writes each province's synthetic seed register, `nodes/<province>/permits.csv`: `python nodes/seed.py`.

The files are committed; a test writes them again and wants no difference. Nobody in them exists: born 2100-2299.
Load one with `bridgehead permit import nodes/zhejiang/permits.csv` as the service hall of that county.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path

from federation.domain.permit import PermitApplication
from federation.domain.synthetic import SYNTHETIC_NOTICE, synthetic_applications
from federation.protocol.ids import NodeName

COUNTIES = {"zhejiang": "330822", "jiangxi": "361123", "fujian": "350722", "anhui": "341022"}
"""The county whose register each province's file is: Changshan, Yushan, Pucheng, Xiuning."""
ROWS = 40
SEED = 2026
AS_OF = date(2026, 11, 1)
FIELDS = (
    "holder_name", "sex", "ethnicity", "birth_date", "citizen_number", "photo_digest", "household_division",
    "household_address", "residence_division", "residence_address", "work_division", "issuer", "ground",
    "residence_since", "apply_date", "accept_date", "papers", "guardian", "sealed", "issue_date",
)  # fmt: skip


def write_register(province: str, path: Path) -> None:
    """Writes the seed register of a province."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {SYNTHETIC_NOTICE}\n")
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(islice(_rows(province), ROWS))


def _rows(province: str) -> Iterator[dict[str, str]]:
    for found in synthetic_applications(NodeName(province), 100_000, seed=SEED, today=AS_OF):
        if found.residence_division == COUNTIES[province]:
            yield _row(found)


def _row(found: PermitApplication) -> dict[str, str]:
    holder = found.holder
    return {
        "holder_name": holder.name,
        "sex": holder.sex,
        "ethnicity": holder.ethnicity,
        "birth_date": holder.birth_date.isoformat(),
        "citizen_number": holder.citizen_number,
        "photo_digest": holder.photo_digest or "",
        "household_division": holder.household_division,
        "household_address": holder.household_address,
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


if __name__ == "__main__":
    main()
