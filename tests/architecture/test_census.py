"""What the house costs: lines, files, how often a thing is written, how many files one act enters.

`python -m tests.architecture.test_census` prints the figures. A bound that the house does not keep yet is marked as expected
to fail; once it is kept, the mark must go.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from federation.cli.permits import invent_one
from federation.cli.show import china_today
from federation.node.features import KINDS
from federation.protocol.ids import parse_agency_id
from federation.wire import rpc_connections
from tests.architecture.entered import Trace
from tests.cli.command_line import ACROSS_HALL, POLICE, ServedNodes, row_of
from tests.cli.test_permits import options

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "federation"
GENERATED = PACKAGE / "v1"

MAX_LINES, MAX_FILES, MAX_GENERATED_LINES = 82_000, 355, 10_000
MAX_PLACES_OF_ETHNICITY = 7
MAX_LINES_OF_A_KIND, MAX_FILES_OF_A_KIND = 450, 6
MAX_FILES_OF_A_SEARCH, MAX_FILES_OF_A_REGISTRATION = 66, 51
"""One of each is the tree of commands, which loads what is named and nothing else; one of a search, the plates of GA 36;
one what goes on beside every one of the runs on a busy machine.
"""
QUIET = {
    "witness_seconds": 600,
    "agreement_seconds": 3600,
    "retention_seconds": 86_400,
    "intake_seconds": 600,
    "document_seconds": 600,
}
"""The duties of a node that have nothing to do with one act rest meanwhile."""
RUNS = 8

FEATURES: Mapping[str, tuple[str, ...]] = {
    "permits": ("domain", "wire/agency", "node", "cli"),
    "registers": ("domain", "wire/agency", "node", "cli"),
    "lookups": ("domain", "wire/agency", "node", "cli"),
    "intake": ("domain", "wire/agency", "node", "cli"),
    "oversight": ("domain", "wire/agency", "node", "cli"),
    "corrections": ("domain", "wire/agency", "node", "cli"),
    "leads": ("domain", "wire/agency", "node", "cli"),
    "duty": ("domain", "wire/agency", "node", "cli"),
    "reports": ("domain", "wire/agency", "node", "cli"),
    "erasure": ("domain", "wire/agency", "node", "cli"),
    "figures": ("domain", "wire/agency", "node", "cli"),
    "retention": ("domain", "node"),
}
"""The floors on which each feature has a part."""


def product() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if not path.is_relative_to(GENERATED)]


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def generated_lines() -> int:
    return sum(lines_of(path) for path in GENERATED.rglob("*.py*") if path.suffix in (".py", ".pyi"))


def places_of(word: str) -> list[str]:
    """Every line of code that names it, outside tests, policies and generated code; comments are not counted."""
    sources = [*product(), *(ROOT / "proto").rglob("*.proto"), *(ROOT / "nodes").rglob("*.py")]
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if word in line and not line.lstrip().startswith(("#", "//"))
    ]


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            names = [ast.unparse(each) for each in node.targets[0].elts]  # or one call makes them all
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] * len(names)
            yield from zip(names, values, strict=True)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _is_kind(name: str, value: ast.expr) -> bool:
    """`SEARCH_KIND = "lookup.search"`, or `SEARCH = Kind(...)`."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).partition("[")[0].rpartition(".")[2] in {"Kind", "item_kind", "entry_kinds"}
    return name.endswith("_KIND") and isinstance(value, ast.Constant) and "." in str(value.value)


def _imports(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, in full."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@cache
def registrations() -> Mapping[str, Sequence[str]]:
    """For each kind of message the tables, written out at the top of a module, that name it or the module that makes it."""
    trees = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in product()
    }
    found: dict[str, list[str]] = {
        f"{module}.{name}": []
        for module, tree in trees.items()
        for name, value in _assignments(tree)
        if _is_kind(name, value)
    }
    for module, tree in trees.items():
        imported = _imports(tree)
        for table, value in _assignments(tree):
            if _is_kind(table, value) or not any(
                isinstance(n, ast.Tuple | ast.List | ast.Set | ast.Dict) for n in ast.walk(value)
            ):
                continue
            named = {ast.unparse(node) for node in ast.walk(value) if isinstance(node, ast.Name | ast.Attribute)}
            for name in named:
                first, dot, rest = name.partition(".")
                meant = imported.get(first, f"{module}.{first}") + dot + rest
                for kind, tables in found.items():
                    if meant == kind or (meant == kind.rpartition(".")[0] and not kind.endswith("_KIND")):
                        tables.append(f"{module}:{table}")
    return found


def missing_stems() -> list[str]:
    """Each feature's file or folder of its name that a floor lacks."""
    return [
        f"{floor}/**/{feature}"
        for feature, floors in FEATURES.items()
        for floor in floors
        if not any((PACKAGE / floor).rglob(f"{feature}.py")) and not any((PACKAGE / floor).rglob(f"{feature}/"))
    ]


def cost_of_leads() -> dict[str, int]:
    """What a small feature with two kinds takes: the lines of its own files, and each line elsewhere that names it in code."""
    named = re.compile(r"leads|Lead([A-Z]\w*)?|LEAD(_\w+)?|[\"'](leads\.|police\.lead|Lead[A-Z]|LEAD_).*")
    found = {}
    for path in product():
        if any(part.startswith(("joint", "procedure", "alert")) for part in path.relative_to(PACKAGE).parts):
            continue  # the lead of a joint case or an alert is another word
        with path.open("rb") as source:
            tokens = [
                each for each in tokenize.tokenize(source.readline) if each.type in (tokenize.NAME, tokenize.STRING)
            ]
        lines = {each.start[0] for each in tokens if named.fullmatch(each.string)}
        if lines:
            found[str(path.relative_to(PACKAGE))] = lines_of(path) if path.stem == "leads" else len(lines)
    return found


def entered() -> tuple[set[str], set[str]]:
    """The files that a registration of a permit enters, and a search that hits, at the command line and in the nodes.

    Those of every one of some runs: what is read once and kept is not part of the act, nor what goes on beside it.
    """
    with (
        Trace().installed() as trace, tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch,
    ):  # fmt: skip
        patch.setattr(rpc_connections, "LOOK_SECONDS", 600)
        nodes = ServedNodes(Path(folder), **QUIET)
        try:
            registered, searched = [], []
            across = parse_agency_id(ACROSS_HALL)
            for seed in range(RUNS):
                typed = (
                    *options(row_of(invent_one(across, household="330822", seed=seed, today=china_today()))),
                    "--full",
                    "-o",
                    "json",
                )
                with trace.running() as found:
                    permit = nodes.ask(ACROSS_HALL, "permit", "register", *typed).json["permit"]
                registered.append(found)
                nodes.delivered(ACROSS_HALL)  # or it would be brought to its peer while the next one is followed
            nodes.ask(
                POLICE, "lookup", "case", "open", "CASE-2026-0001", "--letter", "常公协字2026-41号", "--county", "330822",
                "--county", "361123", "--leader", "leader-1", "--purpose", "lookup.criminal_investigation",
                "--officer", "leader-1",
            )  # fmt: skip
            nodes.delivered(POLICE)
            search = (permit["citizen_number"], "--case", "CASE-2026-0001", "--officer", "officer-7")
            for _ in range(RUNS):
                with trace.running() as found:
                    answer = nodes.ask(POLICE, "lookup", "search", *search, "--province", "jiangxi", "-o", "json")
                assert answer.json["answers"][0]["outcome"] == "hit"
                searched.append(found)
        finally:
            nodes.close()
    return set.intersection(*registered), set.intersection(*searched)


@pytest.fixture(scope="module")
def acts() -> tuple[set[str], set[str]]:
    """Followed in a process of its own: the nodes of other tests that run beside it are no part of an act."""
    ask = "import json; from tests.architecture.test_census import entered; print(json.dumps(list(map(sorted, entered()))))"
    followed = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True, cwd=ROOT)
    registered, searched = json.loads(followed.stdout.splitlines()[-1])
    return set(registered), set(searched)


def test_product_has_few_lines_in_few_files():
    """What a reader must read at most."""
    files = product()
    figures = sum(map(lines_of, files)), len(files)

    assert figures[0] <= MAX_LINES, figures
    assert figures[1] <= MAX_FILES, figures


def test_generated_code_is_bounded():
    """What is generated is there for a reason, too."""
    assert generated_lines() <= MAX_GENERATED_LINES


def test_plain_field_is_written_in_few_places():
    """A field that no rule is about: its proto, its value, its word."""
    places = places_of("ethnicity")

    assert len(places) <= MAX_PLACES_OF_ETHNICITY, places


def test_each_kind_is_registered_in_one_place():
    """What a kind leaves, when it ends and what it may answer are said where it is made; one table lists who makes them."""
    tables = [each for kind, found in registrations().items() if not kind.endswith("_KIND") for each in found]
    names = {kind: found for kind, found in registrations().items() if kind.endswith("_KIND") and found}

    assert len(tables) == sum(not kind.endswith("_KIND") for kind in registrations()) >= 15
    assert set(tables) == {"federation.node.features:FEATURES"}
    assert len(KINDS) == len(tables), "two kinds of one name"
    assert names == {}


def test_small_kind_costs_little():
    """A feature is its four files, its name in the node's list of features and its line in the list of commands."""
    cost = cost_of_leads()

    assert {"node/features.py", "cli/main.py"} < cost.keys()
    assert len(cost) <= MAX_FILES_OF_A_KIND, cost
    assert sum(cost.values()) <= MAX_LINES_OF_A_KIND, cost


def test_feature_has_one_name_on_each_floor():
    """Who knows a feature's file on one floor finds it on the others."""
    assert missing_stems() == []


def test_search_enters_few_files(acts: tuple[set[str], set[str]]):
    """From the command line through both nodes and back."""
    assert len(acts[1]) <= MAX_FILES_OF_A_SEARCH, sorted(acts[1])


def test_registration_enters_few_files(acts: tuple[set[str], set[str]]):
    """From the command line into the node's store, and what is queued for the others."""
    assert len(acts[0]) <= MAX_FILES_OF_A_REGISTRATION, sorted(acts[0])


def main() -> None:
    """Prints each figure beside its bound."""
    kinds = registrations()
    registered, searched = entered()
    tables = {table for found in kinds.values() for table in found}
    print(f"product lines             {sum(map(lines_of, product())):6}  at most {MAX_LINES}")
    print(f"product files             {len(product()):6}  at most {MAX_FILES}")
    print(f"generated lines           {generated_lines():6}  at most {MAX_GENERATED_LINES}")
    print(f"places of ethnicity       {len(places_of('ethnicity')):6}  at most {MAX_PLACES_OF_ETHNICITY}")
    print(f"tables of kinds           {len(tables):6}  one")
    print(f"lines of a small kind     {sum(cost_of_leads().values()):6}  at most {MAX_LINES_OF_A_KIND}")
    print(f"files of a small kind     {len(cost_of_leads()):6}  at most {MAX_FILES_OF_A_KIND}")
    print(f"files missing by name     {len(missing_stems()):6}  none")
    print(f"files of a registration   {len(registered):6}  at most {MAX_FILES_OF_A_REGISTRATION}")
    print(f"files of a search         {len(searched):6}  at most {MAX_FILES_OF_A_SEARCH}")
    if "-v" in sys.argv:
        print(*places_of("ethnicity"), *missing_stems(), *kinds.items(), *sorted(searched), sep="\n")


if __name__ == "__main__":
    main()
