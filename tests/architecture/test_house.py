"""The rules of the house: walls, sizes, names, docstrings. Each finding names file, line and rule.

Source: DESIGN section 2. Generated code and written migrations are exempt.
"""

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from federation.protocol import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "federation"
EXEMPT = (PACKAGE / "v1", PACKAGE / "store" / "migrations" / "versions", ROOT / "buf")

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_LINES = 10
MAX_PARAMETERS = 6
MAX_POSITIONAL = 3  # two, or three whose order the field itself gives: key, message, signature; index, size, reader
MAX_INIT_LINES = 30
BANNED = frozenset(
    [
        "manager",
        "handler",
        "helper",
        "helpers",
        "util",
        "utils",
        "processor",
        "factory",
        "provider",
        "impl",
        "base",
        "common",
        "misc",
        "info",
    ]
)
VAGUE = re.compile(r"_*(\w+_)?told$|_*Kept")
QUESTION_WORDS = re.compile(r"(What|Whether|How|Who|Whom|Whose|Which|Where|When|Why)\b")
SIGNATURES_OF_LIBRARIES = frozenset({"settings_customise_sources"})  # called by pydantic-settings, by position
FLOORS = ("protocol", "domain", "store", "wire", "node", "audit", "cli")
ERROR_CLASSES = tuple(error.__name__ for error in errors.BridgeheadError.__subclasses__())
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def sources() -> tuple[Path, ...]:
    """Every hand-written module of the package."""
    return tuple(
        path for path in sorted(PACKAGE.rglob("*.py")) if not any(path.is_relative_to(folder) for folder in EXEMPT)
    )


@cache
def test_sources() -> tuple[Path, ...]:
    """Every module of the tests."""
    return tuple(sorted((ROOT / "tests").rglob("*.py")))


test_sources.__test__ = False


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions_of(path: Path) -> Iterator[Function]:
    """Every function of a module, methods and nested ones included."""
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def finding(path: Path, line: int, rule: str) -> str:
    """One line that an editor can jump to."""
    return f"{path.relative_to(ROOT)}:{line}: {rule}"


def report(findings: list[str]) -> None:
    """Fails with all findings, one a line."""
    assert not findings, f"{len(findings)} against the rules of the house:\n" + "\n".join(findings)


def lines_of(function: Function) -> int:
    """Lines of a function from `def` to its end, its docstring left out."""
    first = function.body[0]
    docstring = 0
    if ast.get_docstring(function, clean=False) is not None:
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def words_of(name: str) -> list[str]:
    """The words of a name, in either style: `HttpBaseThing` and `http_base_thing` give the same."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_").split("_")


def test_floors_and_walls_hold():
    """Imports go down only; the core is pure; SQL and gRPC stay behind their walls (import-linter contracts)."""
    call = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    run = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_files_stay_small():
    """A file has at most 600 lines, tests included: aim at 100 to 450, one subject a file."""
    report(
        [
            finding(path, lines, f"a file has at most {MAX_FILE_LINES} lines, got {lines}")
            for path in (*sources(), *test_sources())
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
        ]
    )


def test_functions_stay_small():
    """A function has at most 60 lines without its docstring."""
    report(
        [
            finding(
                path, function.lineno, f"a function has at most {MAX_FUNCTION_LINES} lines: {function.name} has {lines}"
            )
            for path in sources()
            for function in functions_of(path)
            if (lines := lines_of(function)) > MAX_FUNCTION_LINES
        ]
    )


def test_functions_are_short_in_the_median():
    """Half of all functions have at most ten lines without their docstring."""
    lines = [lines_of(function) for path in sources() for function in functions_of(path)]

    assert statistics.median(lines) <= MAX_MEDIAN_LINES


def test_functions_take_few_parameters():
    """A function takes at most 6 parameters, a public one at most 3 of them by position; commands are typer's."""
    findings = []
    for path in sources():
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        for function in functions_of(path):
            if function.name in SIGNATURES_OF_LIBRARIES:
                continue
            positional = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
            if positional[:1] in (["self"], ["cls"]):
                positional = positional[1:]
            count = len(positional) + len(function.args.kwonlyargs)
            if count > MAX_PARAMETERS:
                rule = f"a function takes at most {MAX_PARAMETERS} parameters: {function.name} takes {count}"
                findings.append(finding(path, function.lineno, rule))
            if len(positional) > MAX_POSITIONAL and not function.name.startswith("_"):
                rule = f"after {MAX_POSITIONAL} parameters the others are keyword-only: {function.name}"
                findings.append(finding(path, function.lineno, rule))
    report(findings)


def test_init_files_hold_no_logic():
    """An `__init__.py` has at most 30 lines: a docstring, imports and `__all__`."""
    findings = []
    for path in sources():
        if path.name != "__init__.py":
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_INIT_LINES:
            findings.append(finding(path, lines, f"an __init__.py has at most {MAX_INIT_LINES} lines, got {lines}"))
        for node in tree_of(path).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            if not (docstring or names or isinstance(node, ast.Import | ast.ImportFrom)):
                findings.append(finding(path, node.lineno, "an __init__.py holds imports and __all__ only"))
    report(findings)


def test_names_say_what_things_are():
    """No module, class or function is called manager, handler, util and the like; `Service` belongs to the wire."""
    findings = []
    for path in sources():
        named = [(1, path.stem)]
        named += [
            (node.lineno, node.name) for node in ast.walk(tree_of(path)) if isinstance(node, Function | ast.ClassDef)
        ]
        classes = {node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)}
        for line, name in named:
            words = words_of(name)
            banned = sorted(BANNED.intersection(words)) + (["data"] if words[-1] == "data" else [])
            if name in classes and "service" in words and not path.is_relative_to(PACKAGE / "wire"):
                banned.append("service")
            findings += [finding(path, line, f"the word {word!r} says nothing in the name {name}") for word in banned]
    report(findings)


def names_in(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of whatever a module binds: classes, functions, parameters, variables."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def test_names_are_the_words_of_the_field():
    """Nothing is called told or Kept: a reader searches stored, shown, notified, expected."""
    report(
        [
            finding(path, line, f"{name} does not say what it is: stored, shown, notified, expected ...")
            for path in sources()
            for line, name in names_in(path)
            if VAGUE.match(name)
        ]
    )


@pytest.mark.parametrize("name", ["told", "_is_told", "KeptRecord", "_Kept"])
def test_vague_name_is_found(name):
    """The rule on vague names sees them in each place of a name."""
    assert VAGUE.match(name)


@pytest.mark.parametrize("name", ["untold_count", "retold", "keep", "kept_under", "stored"])
def test_plain_name_is_left_alone(name):
    """The rule on vague names sees words, not letters."""
    assert not VAGUE.match(name)


def test_docstrings_say_what_is_returned():
    """A docstring says plainly what is returned, guaranteed or refused: it does not begin like a riddle."""
    report(
        [
            finding(path, getattr(node, "lineno", 1), "a docstring does not begin with What, Whether, How, Who ...")
            for path in sources()
            for node in ast.walk(tree_of(path))
            if isinstance(node, Function | ast.ClassDef | ast.Module)
            if QUESTION_WORDS.match(ast.get_docstring(node) or "")
        ]
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HttpBaseThing", ["http", "base", "thing"]),
        ("_load_data", ["load", "data"]),
        ("P256Signer", ["p256", "signer"]),
    ],
)
def test_words_of_a_name_are_split_in_either_style(name, words):
    """The rule on names sees words, not letters: `database` is not `base`."""
    assert words_of(name) == words


def test_modules_have_docstrings():
    """Every module says what it is for. A definition needs a docstring only where name and types do not say it all."""
    report(
        [finding(path, 1, "a module has a docstring") for path in sources() if ast.get_docstring(tree_of(path)) is None]
    )


def test_tests_say_their_rule():
    """Every test has a docstring with the rule that it checks."""
    report(
        [
            finding(path, function.lineno, f"a test has a docstring: {function.name}")
            for path in test_sources()
            if path.name.startswith("test_")
            for function in functions_of(path)
            if function.name.startswith("test_") and ast.get_docstring(function) is None
        ]
    )


def errors_raised(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """Line, class and call of every error of the tree that a module makes."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in (*ERROR_CLASSES, "BridgeheadError"):
                yield node.lineno, name, node


def test_errors_have_stable_reasons():
    """A reason is UPPER_SNAKE of at most 63 characters, and the root of the tree is never made."""
    findings = []
    for path in sources():
        for line, name, call in errors_raised(path):
            if name == "BridgeheadError":
                findings.append(finding(path, line, "the root of the error tree is never raised"))
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Constant) and not re.fullmatch(r"[A-Z][A-Z0-9_]{1,62}", str(first.value)):
                findings.append(finding(path, line, f"a reason is UPPER_SNAKE, got {first.value!r}"))
    report(findings)


@pytest.mark.parametrize("name", ERROR_CLASSES)
def test_error_class_is_raised_and_expected_by_a_test(name):
    """Every class of the error tree is raised somewhere, and some test expects it."""
    raised = any(name == made for path in sources() for _, made, _ in errors_raised(path))
    expected = any(
        isinstance(node, ast.Name) and node.id == name for path in test_sources() for node in ast.walk(tree_of(path))
    )

    assert raised, f"federation/protocol/errors.py:1: {name} is raised nowhere in the package"
    assert expected, f"federation/protocol/errors.py:1: {name} is expected by no test"


def test_every_floor_is_there():
    """The folders of the package are the floors of the house, and nothing else."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders == {*FLOORS, "v1"}


def test_exchange_stands_beneath_the_features():
    """How messages travel knows of no feature: of the node it imports itself, the log, the home and the node's value."""
    beneath = ("exchange", "log", "home", "node")
    findings = []
    for path in sources():
        if not path.is_relative_to(PACKAGE / "node" / "exchange"):
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("federation.node"):
                parts = (node.module or "").split(".")[2:] or [alias.name for alias in node.names]
                if parts[0] not in beneath:
                    findings.append(finding(path, node.lineno, f"the exchange imports no feature: {node.module}"))
    report(findings)
