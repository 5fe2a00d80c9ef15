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

from federation.cli.output import Form, FormOption, JsonOut, show_json, show_table
from federation.protocol.errors import MalformedError

if TYPE_CHECKING:
    from federation.cli.policy.check import FileCheck, TableCheck
    from federation.node.log.replay import Difference, Replay
    from federation.protocol.canonical_json import JsonValue
    from federation.protocol.policy import PolicyBook, PolicyRequest

app = typer.Typer(name="policy", no_args_is_help=True, help="Policies: check them, explain a case, decide again.")

PoliciesOption = Annotated[Path, typer.Option("--policies", help="The folder of policy files.")]


@app.command()
def check(policies: PoliciesOption = Path("policies"), form: FormOption = Form.TEXT) -> None:
    """Check every policy file against the schema, and run every case of the case tables."""
    from federation.cli.policy.check import check_files, check_tables
    from federation.node.home.agreement_draft import read_policies
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
    from federation.node.home.agreement_draft import read_policies
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
    policies: Annotated[Path | None, typer.Option("--policies", help="A draft to compare with.")] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """Decide again what this node decided: by the policies of the day, and by a draft; exit 1 if the day's differ."""
    from federation.node.home.agreement_draft import read_policies
    from federation.node.log.replay import Period
    from federation.node.log.replay import replay as decide_again
    from federation.protocol.ids import parse_time
    from federation.protocol.policy import load_policy_book

    period = Period(since=parse_time(since) if since else None, until=parse_time(until) if until else None)
    draft = load_policy_book(read_policies(policies)) if policies else None
    found = decide_again(home, now=datetime.now(UTC), period=period, draft=draft)
    _show_replay(found, form, drafted=draft is not None)
    if found.differing:
        raise typer.Exit(1)


def _load_request(
    files: Mapping[str, bytes], book: PolicyBook, *, case: str | None, file: Path | None
) -> PolicyRequest:
    from federation.cli.policy.check import find_case
    from federation.node.home.secret_files import read_file
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


def _show_replay(found: Replay, form: Form, *, drafted: bool) -> None:
    same = found.questions - len(found.differing)
    if form is Form.JSON:
        value: dict[str, JsonOut] = {
            "decisions": found.decisions,
            "questions": found.questions,
            "reproduced": same,
            "differing": [_difference_value(each) for each in found.differing],
        }
        changed: JsonOut = [_difference_value(each) for each in found.changed]
        show_json(value | ({"changed_by_draft": changed} if drafted else {}))
        return
    print(f"decisions   {found.decisions}, with {found.questions} questions to policy")
    print(f"reproduced  {same}")
    print(f"differ      {len(found.differing)}")
    _show_differences(found.differing)
    if drafted:
        print(f"the draft   changes {len(found.changed)}")
        _show_differences(found.changed)


def _show_differences(differences: Sequence[Difference]) -> None:
    from federation.protocol.ids import format_time

    rows = [
        (
            format_time(each.kept.time),
            each.kept.subject[:16],
            each.was.request.action,
            f"{each.was.verdict.value}: {', '.join(each.was.policies)}",
            f"{each.now.verdict.value}: {', '.join(each.now.policies)}",
        )
        for each in differences
    ]
    if rows:
        show_table(("time", "message", "action", "was", "would be"), rows)


def _difference_value(found: Difference) -> JsonOut:
    from federation.protocol.ids import format_time

    return {
        "time": format_time(found.kept.time),
        "subject": found.kept.subject,
        "agreement_version": found.kept.agreement_version,
        "action": found.was.request.action,
        "was": {"verdict": found.was.verdict.value, "policies": list(found.was.policies)},
        "now": {"verdict": found.now.verdict.value, "policies": list(found.now.policies)},
    }
