"""`bridgehead policy`: check the policies with their cases, explain a case, decide again what a node has decided.

Exit codes: 0 all as it should be, 1 a file, a case or a decision is not, 2 usage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption
from federation.cli.show import JsonOut, show_json, show_table
from federation.protocol.errors import MalformedError

if TYPE_CHECKING:
    from federation.cli.policy.check import FileCheck, TableCheck
    from federation.protocol.canonical_json import JsonValue
    from federation.protocol.policy import PolicyBook, PolicyRequest

app = typer.Typer(name="policy", no_args_is_help=True, help="Policies: check them, explain a case, decide again.")

PoliciesOption = Annotated[Path, typer.Option("--policies", help="The folder of policy files.")]


@app.command()
def check(policies: PoliciesOption = Path("policies"), form: FormOption = Form.TEXT) -> None:
    """Check every policy file against the schema, and run every case of the case tables."""
    from federation.cli.policy.check import check_files, check_tables
    from federation.node.home.draft import read_policies
    from federation.protocol.policy import load_policy_book

    files = read_policies(policies)
    file_checks = list(check_files(files))
    sound = all(found.failure is None for found in file_checks)
    tables = list(check_tables(files, load_policy_book(files))) if sound else []
    _show_checks(file_checks, tables, form)
    if not sound or any(table.failures for table in tables):
        raise typer.Exit(1)


@app.command()
def explain(
    case: Annotated[str | None, typer.Argument(help="The name of a case, Chinese or English.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A question as JSON instead of a case.")] = None,
    policies: PoliciesOption = Path("policies"),
    form: FormOption = Form.TEXT,
) -> None:
    """Explain one case clause by clause, and what would make it lawful."""
    from federation.node.home.draft import read_policies
    from federation.protocol.policy import explain as explain_request
    from federation.protocol.policy import format_explanation, load_policy_book

    if (case is None) == (file is None):
        raise typer.BadParameter("expected the name of a case, or --file")
    files = read_policies(policies)
    book = load_policy_book(files)
    explanation = explain_request(book, _load_request(files, book, case=case, file=file))
    if form is Form.TEXT:
        print(format_explanation(explanation))
        return
    decision = explanation.decision
    show_json(
        {
            "verdict": decision.verdict.value,
            "policies": list(decision.policies),
            "title_zh": decision.title_zh,
            "title_en": decision.title_en,
            "remedy_zh": list(explanation.remedy_zh),
            "remedy_en": list(explanation.remedy_en),
        }
    )


@app.command()
def replay(
    home: Annotated[Path, typer.Option("--home", help="A node's home; the node may be running.")],
    since: Annotated[str | None, typer.Option("--from", help="From then on, RFC 3339 in UTC.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to then, RFC 3339 in UTC.")] = None,
    policies: Annotated[Path | None, typer.Option("--draft", "--policies", help="A draft to compare with.")] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """Decide again every decision in this node's log: by the policies of the day, and by a draft.

    Exit 1 if one differs by the policies of the day, or was kept without what it takes to decide it again.
    """
    from federation.cli.policy.replay_view import show_replay
    from federation.node.home.draft import read_policies
    from federation.node.log.replay import Period
    from federation.node.log.replay import replay as decide_again
    from federation.protocol.ids import parse_time
    from federation.protocol.policy import load_policy_book

    period = Period(since=parse_time(since) if since else None, until=parse_time(until) if until else None)
    draft = load_policy_book(read_policies(policies)) if policies else None
    found = decide_again(home, now=datetime.now(UTC), period=period, draft=draft)
    show_replay(found, form, drafted=draft is not None)
    if not found.is_whole:
        raise typer.Exit(1)


def _load_request(
    files: Mapping[str, bytes], book: PolicyBook, *, case: str | None, file: Path | None
) -> PolicyRequest:
    from federation.cli.policy.check import find_case
    from federation.node.home.files import read_file
    from federation.protocol.policy.inputs import read_request

    if file is not None:
        return read_request(_parse_object(read_file(file), what=str(file)))
    return find_case(files, book, case or "").request


def _parse_object(content: bytes, *, what: str) -> Mapping[str, JsonValue]:
    """JSON as a person writes it: any order and any space."""
    try:
        value = json.loads(content)
    except ValueError as error:
        raise MalformedError("JSON_SYNTAX", f"{what}: expected one JSON object: {error}") from error
    if not isinstance(value, dict):
        raise MalformedError("JSON_OBJECT", f"{what}: expected a JSON object")
    return value


def _show_checks(files: Sequence[FileCheck], tables: Sequence[TableCheck], form: Form) -> None:
    if form is Form.JSON:
        file_values: JsonOut = [{"name": f.name, "policies": f.policies, "failure": f.failure} for f in files]
        table_values: JsonOut = [{"name": t.name, "cases": t.cases, "failures": dict(t.failures)} for t in tables]
        show_json({"files": file_values, "tables": table_values})
        return
    show_table(("file", "policies", "result"), [(f.name, str(f.policies), f.failure or "ok") for f in files])
    if tables:
        print()
        rows = [(t.name, str(t.cases), str(len(t.failures)), "FAILED" if t.failures else "ok") for t in tables]
        show_table(("table", "cases", "failed", "result"), rows)
    for table in tables:
        for name, failure in table.failures.items():
            print(f"\n{table.name}: {name}\n  {failure}")
