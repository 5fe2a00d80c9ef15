"""Prepared statements and kept connections: SQLAlchemy writes a statement's SQL once, SQLite's own driver runs it.

Rules kept: text, parameters and the types of columns are SQLAlchemy's; only the way to the driver is shorter, since
SQLAlchemy's own takes five times as long as what SQLite does. On PostgreSQL a statement goes the whole way. What is run
here is written once, when its module is loaded; its columns have names, and no parameter of it is a list.
An error of the driver leaves as it is, for `Connections` to translate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    Boolean,
    Connection,
    Delete,
    Engine,
    Insert,
    LargeBinary,
    RowMapping,
    Select,
    Table,
    Update,
    bindparam,
    select,
)
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.types import TypeEngine

NewRow: TypeAlias = Mapping[str, Any]
RowKey: TypeAlias = tuple[str | int | bool, ...]

StoredRow: TypeAlias = RowMapping | NewRow
"""A row by column name, as stored or about to be; turned into a value before it leaves this floor."""

Change: TypeAlias = Insert | Update | Delete

_Process: TypeAlias = Callable[[Any], Any]
_DIALECT: Final = SQLiteDialect_pysqlite(paramstyle="qmark")
_NOTHING: Final[NewRow] = {}
_MOST = 1_024  # statements kept: several times as many as there are


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The text of a statement, and how values go to its parameters and come from its columns."""

    text: str
    take: Callable[[NewRow], Sequence[Any]]
    fixed: NewRow
    to_driver: tuple[tuple[int, _Process], ...]
    columns: tuple[str, ...]
    from_driver: tuple[tuple[int, _Process], ...]

    def values(self, given: NewRow) -> Sequence[Any]:
        taken = self.take({**self.fixed, **given} if self.fixed else given)
        if not self.to_driver:
            return taken
        values = list(taken)
        for at, process in self.to_driver:
            values[at] = process(values[at])
        return values

    def row(self, values: Sequence[Any]) -> StoredRow:
        row = dict(zip(self.columns, values, strict=True))
        for at, process in self.from_driver:
            name = self.columns[at]
            row[name] = process(row[name])
        return row


def read_rows(connection: Connection, statement: Select[Any], names: NewRow = _NOTHING) -> Sequence[StoredRow]:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return connection.execute(statement, names).mappings().all()
    prepared = _prepare(statement)
    return [prepared.row(values) for values in driver.execute(prepared.text, prepared.values(names)).fetchall()]


@contextmanager
def spelled(connection: Connection) -> Iterator[None]:
    """Has SQLite spell bytes out that are no text in a column of text, where its driver would read none of the rows."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    driver.text_factory = _spell
    try:
        yield
    finally:
        driver.text_factory = str


def _spell(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def read_first(connection: Connection, statement: Select[Any], names: NewRow = _NOTHING) -> StoredRow | None:
    """The first row of a statement that gives few, None without one."""
    rows = read_rows(connection, statement, names)
    return rows[0] if rows else None


def read_value(connection: Connection, statement: Select[Any], names: NewRow = _NOTHING) -> Any:  # noqa: ANN401 - a column's
    """The first column of the first row, None without one."""
    row = read_first(connection, statement, names)
    return None if row is None else next(iter(row.values()))


def read_row(connection: Connection, table: Table, key: RowKey) -> StoredRow | None:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        parameters = {f"key{position}": value for position, value in enumerate(key)}
        return connection.execute(_select_by_key(table), parameters).mappings().first()
    prepared = _prepare(_select_by_key(table))
    values = driver.execute(prepared.text, key).fetchone()
    return None if values is None else prepared.row(values)


def change_rows(connection: Connection, statement: Change, rows: Sequence[NewRow]) -> int:
    """Runs a change for each set of parameters; returns how many rows it met in all."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return connection.execute(statement, rows[0] if len(rows) == 1 else rows).rowcount
    prepared = _prepare(statement)
    return driver.executemany(prepared.text, map(prepared.values, rows)).rowcount


def insert_rows(connection: Connection, table: Table, rows: Sequence[NewRow]) -> None:
    """Inserts rows that all have every column."""
    change_rows(connection, _insert_into(table), rows)


@lru_cache(_MOST)
def _prepare(statement: Select[Any] | Change) -> _Prepared:
    compiled = statement.compile(dialect=_DIALECT)
    if compiled.post_compile_params or compiled.positiontup is None:
        raise TypeError("expected a statement whose text does not hang on its parameters")
    parameters = tuple(compiled.positiontup)
    columns = tuple(statement.selected_columns) if isinstance(statement, Select) else ()
    if any(column.key is None for column in columns):
        raise TypeError("expected a statement whose columns have names")
    binds = compiled.binds
    to_driver = [(at, _to_driver(binds[name].type)) for at, name in enumerate(parameters)]
    from_driver = [(at, _type_of(column.type).result_processor(_DIALECT, None)) for at, column in enumerate(columns)]
    return _Prepared(
        text=str(compiled),
        take=itemgetter(*parameters) if len(parameters) > 1 else lambda given: [given[name] for name in parameters],
        fixed={name: binds[name].effective_value for name in parameters if not binds[name].required},
        to_driver=tuple((at, process) for at, process in to_driver if process),
        columns=tuple(str(column.key) for column in columns),
        from_driver=tuple((at, process) for at, process in from_driver if process),
    )


def _to_driver(of: TypeEngine[Any]) -> _Process | None:
    """SQLAlchemy's own conversion; the driver takes bytes and truths as they are."""
    return None if isinstance(of, LargeBinary | Boolean) else _type_of(of).bind_processor(_DIALECT)


def _type_of(of: TypeEngine[Any]) -> TypeEngine[Any]:
    return of.dialect_impl(_DIALECT)


@lru_cache
def _insert_into(table: Table) -> Insert:
    return table.insert()


@lru_cache
def _select_by_key(table: Table) -> Select[Any]:
    columns = enumerate(table.primary_key.columns)
    return select(table).where(*(column == bindparam(f"key{position}") for position, column in columns))


class SpareConnections:
    """Spare connections of SQLite, which go from use to use: the way through the pool takes longer than most reads.

    A server's go back to their pool each time, which looks whether they still live.
    """

    def __init__(self, engine: Engine, *, most: int) -> None:
        self.engine = engine
        self._most = most if engine.dialect.name == "sqlite" else 0
        self._spare: list[Connection] = []

    @contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """A connection that nobody else uses meanwhile; one with which anything went wrong is not kept."""
        try:
            connection = self._spare.pop()
        except IndexError:
            connection = self.engine.connect()
        is_whole = False
        try:
            yield connection
            is_whole = True
        finally:
            if is_whole and len(self._spare) < self._most:
                self._spare.append(connection)
            else:
                connection.close()

    def give_back(self) -> None:
        while self._spare:
            self._spare.pop().close()

    def close(self) -> None:
        self._most = 0
        self.give_back()
        self.engine.dispose()
