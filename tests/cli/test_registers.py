"""`bridgehead vehicle|enterprise` and the look-up of what they keep, between real nodes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.registers import enterprise_texts, vehicle_texts
from tests.cli.command_line import ACROSS_POLICE, HALL, POLICE
from tests.node.register_samples import ENTERPRISE, VEHICLE

MARKET = "zhejiang/330822/market"
CASE = "CS-2026-0077"
VEHICLE_OPTIONS = (
    "--keeper", VEHICLE.keeper, "--brand-model", VEHICLE.brand_model, "--colour", "白", "--first-registered", "2024-03-05",
)  # fmt: skip
ENTERPRISE_OPTIONS = (
    "--name", ENTERPRISE.name, "--legal-form", ENTERPRISE.legal_form, "--representative", "徐谷雨",
    "--number", ENTERPRISE.representative_number, "--registered-on", "2021-06-01",
)  # fmt: skip


def csv_of(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_register_and_show_a_vehicle(nodes):
    """A plate as people type it; a change is the next version; the keeper is masked unless all is asked for."""
    first = nodes.ask(POLICE, "vehicle", "register", "浙hi0101", *VEHICLE_OPTIONS, "-o", "json").json
    second = nodes.ask(POLICE, "vehicle", "register", "浙H·I0101", *VEHICLE_OPTIONS, "--status", "stolen")

    assert first["version"] == 1
    assert second.out == f"{first['id']}  第 2 版 version 2\n"
    shown = nodes.ask(POLICE, "vehicle", "show", "浙H I0101").out
    assert "被盗抢 stolen" in shown
    assert VEHICLE.keeper not in shown
    full = nodes.ask(POLICE, "vehicle", "show", "浙H·I0101", "--full", "-o", "json").json
    assert full["records"][0]["fields"]["keeper"] == VEHICLE.keeper


def test_register_by_another_county_is_a_refusal_in_words(nodes):
    """Policy's no is an answer on stdout, exit 1; another kind of office does not get as far."""
    done = nodes.ask(POLICE, "vehicle", "register", "浙H·I0102", *VEHICLE_OPTIONS, "--division", "330824", code=1)
    assert "deny-register-other-county" in done.out
    told = nodes.ask(HALL, "vehicle", "register", "浙H·I0102", *VEHICLE_OPTIONS, "-o", "json", code=1)
    assert told.error["reason"] == "METHOD_DENIED"


@pytest.mark.parametrize(
    ("plate", "reason"),
    [(VEHICLE.plate.replace("I", "1"), "REAL_PLATE_IN_DEMO"), ("HZ-1", "PLATE_FORM")],
)
def test_register_of_no_plate_of_the_demo_says_what_to_do(nodes, plate, reason):
    """One sentence, the reason, the next step; nothing is kept."""
    done = nodes.ask(POLICE, "vehicle", "register", plate, *VEHICLE_OPTIONS, "-o", "json", code=2)
    assert done.error["reason"] == reason
    assert done.error["next"]


def test_import_takes_the_plates_in_force_and_tells_a_class_that_the_form_excludes(nodes, tmp_path):
    """New energy by all its letters, police, Hong Kong; a police or Hong Kong plate is no small car's."""
    plates = {"浙HAI2345": "new_energy_small", "浙HKI2345": "小型新能源汽车", "浙H12O45A": "51", "浙HI234警": "small_car",
              "粤ZI234港": "small_car", "浙HDI2345": "new_energy_small", "浙HI235警": "", "粤ｚi234澳": ""}  # fmt: skip
    rows = [dict(vehicle_texts(VEHICLE)) | {"plate": plate, "plate_class": each} for plate, each in plates.items()]
    path = csv_of(tmp_path / "rows.csv", [{name: row[name] for name in row if name != "permit"} for row in rows])

    done = nodes.ask(POLICE, "vehicle", "import", path, "-o", "json", code=1).json

    assert [(row["line"], row["reason"]) for row in done["bad_rows"]] == [(5, "PLATE_CLASS"), (6, "PLATE_CLASS")]
    assert "police_car (23)" in done["bad_rows"][0]["message"]
    assert done["stored"] == 6
    shown = nodes.ask(POLICE, "vehicle", "show", "浙HI235警").out
    assert "警用汽车 police_car" in shown


@pytest.mark.parametrize(("typed", "told"), [("浙HLI2345", "新能源"), ("WJ浙12345", "武警"), ("浙HI23", "现为3位")])
def test_lookup_of_what_is_meant_as_a_plate_says_what_is_wrong_with_it(nodes, typed, told):
    """Not that it is no number: in words, with the next step, before anything is asked."""
    done = nodes.ask(ACROSS_POLICE, "lookup", "search", typed, "--case", CASE, "-o", "json", code=2)

    assert done.error["reason"] == "PLATE_FORM"
    assert told in done.error["message_zh"]
    assert done.error["next"]


def test_enterprise_is_registered_shown_and_unknown(nodes):
    """The market regulator keeps it; a code that is not kept is told so."""
    kept = nodes.ask(MARKET, "enterprise", "register", ENTERPRISE.uscc.lower(), *ENTERPRISE_OPTIONS, "-o", "json").json
    assert kept["id"].startswith("urn:enterprise:330822:")
    shown = nodes.ask(MARKET, "enterprise", "show", ENTERPRISE.uscc).out
    assert ENTERPRISE.name in shown
    assert ENTERPRISE.representative_number not in shown
    other = synthetic_uscc("330822", 555).value
    assert nodes.ask(MARKET, "enterprise", "show", other, "-o", "json", code=1).error["reason"] == "REGISTER_UNKNOWN"


def test_import_tells_bad_rows_by_line_and_repeats_itself(nodes, tmp_path):
    """Good rows are kept, bad ones told; the same file under its request id keeps nothing twice."""
    rows = [vehicle_texts(VEHICLE) | {"plate": f"浙H·I02{number:02d}"} for number in range(4)]
    rows[1]["colour"] = ""
    rows[2]["plate"] = VEHICLE.plate.replace("I", "1")
    rows[3]["registered_division"] = "330824"
    request = "6f0c4a1e-1f3b-4a55-9a38-0c8f7f6b1d2b"
    arguments = ("vehicle", "import", csv_of(tmp_path / "v.csv", rows), "--request-id", request, "-o", "json")

    done = nodes.ask(POLICE, *arguments, code=1).json

    assert {row["line"]: row["reason"] for row in done["bad_rows"]} == {
        3: "REGISTER_FIELD", 4: "REAL_PLATE_IN_DEMO", 5: "REFUSED",
    }  # fmt: skip
    assert [row["line"] for row in done["stored_rows"]] == [2]
    assert nodes.ask(POLICE, *arguments, code=1).json["stored_rows"] == done["stored_rows"]
    anew = nodes.ask(POLICE, *arguments[:3], "-o", "json", code=1).json
    assert (anew["stored"], anew["already_rows"]) == (0, done["stored_rows"])


def test_import_dry_run_needs_no_node(nodes, tmp_path):
    """`--dry-run` judges form and realm here; both seeds of a province pass it."""
    good = csv_of(tmp_path / "e.csv", [dict(enterprise_texts(ENTERPRISE))])
    done = nodes.ask(MARKET, "enterprise", "import", good, "--dry-run", "-o", "json").json
    assert (done["rows"], done["stored"]) == (1, 1)
    nodes.ask(MARKET, "enterprise", "import", good, "--dry-run", "--realm", "live", code=1)


def test_look_up_by_plate_and_by_uscc(nodes):
    """Hit, then the keeper for an investigation; the keeper's own report names the step once the case is closed."""
    nodes.ask(POLICE, "vehicle", "register", "浙H·I0301", *VEHICLE_OPTIONS)
    nodes.ask(MARKET, "enterprise", "register", ENTERPRISE.uscc, *ENTERPRISE_OPTIONS)
    opened = ("--letter", "玉公协〔2026〕77号", "--county", "330822", "--leader", "leader-1")
    nodes.ask(ACROSS_POLICE, "lookup", "case", "open", CASE, *opened, "--officer", "leader-1")
    where = ("--case", CASE, "--province", "zhejiang")

    for typed, field, told in (
        ("浙hi0301", "keeper", VEHICLE.keeper),
        (ENTERPRISE.uscc.lower(), "legal_representative", "徐谷雨"),
    ):
        found = nodes.ask(ACROSS_POLICE, "lookup", "search", typed, *where, "-o", "json").json["answers"][0]
        assert found["outcome"] == "hit"
        fetch = ("lookup", "fetch", f"handle:{found['handle']}", *where, "--field", field)
        released = nodes.ask(ACROSS_POLICE, *fetch, "--full", "-o", "json").json
        assert released["fields"] == {field: told}
    masked = nodes.ask(ACROSS_POLICE, "lookup", "search", "浙H·I0301", *where, "-o", "json").json["answers"][0]
    lines = nodes.ask(ACROSS_POLICE, "lookup", "fetch", f"handle:{masked['handle']}", *where, "--field", "keeper").out
    assert "所有人" in lines
    assert VEHICLE.keeper not in lines

    miss = nodes.ask(ACROSS_POLICE, "lookup", "search", "浙H·I9999", *where, "-o", "json").json["answers"][0]
    assert miss["outcome"] == "no_hit"
    refused = nodes.ask(ACROSS_POLICE, "lookup", "search", "浙H·I03*1", *where, "-o", "json", code=2)
    assert refused.error["reason"] == "LOOKUP_WILDCARD"
    nodes.ask(ACROSS_POLICE, "lookup", "case", "close", CASE, "--officer", "leader-1")
    nodes.delivered(ACROSS_POLICE)
    report = nodes.ask(HALL, "subject", "report", VEHICLE.keeper, "--identity-checked", "-o", "json").json
    assert ("lookup.fetch", ["keeper"]) in [(line["step"], line["fields"]) for line in report["lines"]]
