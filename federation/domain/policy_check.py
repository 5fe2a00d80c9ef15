"""The check of the policies before anybody agrees on them.

Every file is held against the schema, every case of every table is decided, and every procedure, the table
of alerts, the duty of the provinces and the definitions of figures are read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from federation.domain.alert_kinds import check_alerts
from federation.domain.cases import Case, find_failure, parse_cases
from federation.domain.duty import check_duty
from federation.domain.figures import check_figures
from federation.domain.findings import ProcedureCheck
from federation.domain.procedure_check import check_procedures
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError, nearest
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.policy.book import SCHEMA_FILE

_CASES: Final = "policies/cases/"


def verify_policies(files: Mapping[str, bytes]) -> None:
    """Refuses policies that `bridgehead policy check` does not pass (POLICY_CHECK), naming what fails."""
    _verify(tuple(sorted((path, content) for path, content in files.items() if path.startswith("policies/"))))


@lru_cache(maxsize=2)
def _verify(policies: tuple[tuple[str, bytes], ...]) -> None:
    files = dict(policies)
    failed = [f"{found.name}: {found.failure}" for found in check_files(files) if found.failure is not None]
    if not failed:
        tables = list(check_tables(files, load_policy_book(files)))
        failed = [f"{table.name}: {name}: {why}" for table in tables for name, why in table.failures.items()]
    if not failed:
        failed = [f"{found.name}: {fault}" for found in check_sheets(files) for fault in found.findings]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise RuleError("POLICY_CHECK", f"expected policies that pass their check, got {failed[0]:.300}{more}")


def check_sheets(files: Mapping[str, bytes]) -> Iterator[ProcedureCheck]:
    """Checks every procedure, the table of alerts, the duty of each province, and the definitions of figures."""
    yield from check_procedures(files)
    yield from check_alerts(files)
    yield from check_duty(files)
    yield from check_figures(files)


class FileCheck(Struct, frozen=True, kw_only=True):
    name: str
    policies: int
    failure: str | None


class TableCheck(Struct, frozen=True, kw_only=True):
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
    """The case of that name, Chinese or English, in any table (CASE_NAME when no table has it)."""
    names: list[str] = []
    for table in _table_names(files):
        for case in load_cases(files, table, book):
            if name in (case.name, case.name_en):
                return case
            names += (case.name, case.name_en)
    zh, en = nearest(name, names)
    raise NotFoundError("CASE_NAME", f"案例表中没有这一案例{zh} | no case table has a case of this name{en}")


def load_cases(files: Mapping[str, bytes], name: str, book: PolicyBook) -> tuple[Case, ...]:
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
