"""What checking a folder of policies comes to: what is wrong with each file, and which cases of each table fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from federation.domain.cases import Case, find_failure, parse_cases
from federation.protocol.errors import BridgeheadError, NotFoundError
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.policy.book import SCHEMA_FILE

_CASES = "policies/cases/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """One file of policies: how many it holds, or what is wrong with it."""

    name: str
    policies: int
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """One case table: how many cases it holds and, by the case's name, which do not come out as written."""

    name: str
    cases: int
    failures: Mapping[str, str]


def check_files(files: Mapping[str, bytes]) -> Iterator[FileCheck]:
    """Checks each file of policies by itself against the schema, then all of them together."""
    names = sorted(name for name in files if name.startswith("policies/") and name.endswith(".cedar"))
    for name in names:
        yield _check({found: files[found] for found in (SCHEMA_FILE, name) if found in files}, name=name)
    yield _check(files, name="all")


def check_tables(files: Mapping[str, bytes], book: PolicyBook) -> Iterator[TableCheck]:
    """Runs every case of every table; a file of policies without its table fails too."""
    for name in _table_names(files):
        try:
            cases = load_cases(files, name, book)
        except BridgeheadError as error:
            yield TableCheck(name=name, cases=0, failures={"-": f"{error.message} [{error.reason}]"})
            continue
        failed = {case.name: failure for case in cases if (failure := find_failure(book, case)) is not None}
        yield TableCheck(name=name, cases=len(cases), failures=failed)


def find_case(files: Mapping[str, bytes], book: PolicyBook, name: str) -> Case:
    """The case of that name, Chinese or English, in any table.

    Raises:
        NotFoundError: CASE_NAME when no table has it; CASE_TABLE.
        MalformedError: as `parse_cases`.
    """
    for table in _table_names(files):
        for case in load_cases(files, table, book):
            if name in (case.name, case.name_en):
                return case
    raise NotFoundError("CASE_NAME", f"no case table has a case named {name!r:.80}")


def load_cases(files: Mapping[str, bytes], name: str, book: PolicyBook) -> tuple[Case, ...]:
    """Reads one table.

    Raises:
        NotFoundError: CASE_TABLE when it is not there.
        MalformedError: as `parse_cases`.
    """
    content = files.get(_CASES + name)
    if content is None:
        raise NotFoundError("CASE_TABLE", f"expected the table {_CASES}{name} beside the policies")
    return parse_cases(content.decode(errors="replace"), book)


def _table_names(files: Mapping[str, bytes]) -> list[str]:
    """The tables that are there, and those that must be: one for each file of policies."""
    there = {name.removeprefix(_CASES) for name in files if name.startswith(_CASES)}
    wanted = {name.removeprefix("policies/") for name in files if name.endswith(".cedar")}
    return sorted(there | {f"{name.removesuffix('.cedar')}.toml" for name in wanted})


def _check(files: Mapping[str, bytes], *, name: str) -> FileCheck:
    try:
        book = load_policy_book(files)
    except BridgeheadError as error:
        return FileCheck(name=name, policies=0, failure=f"{error.message} [{error.reason}]")
    return FileCheck(name=name, policies=len(book.policies), failure=None)
