"""`bridgehead policy`: check, explain, decide again. Exit 0 all as it should be, 1 something is not, 2 usage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption, end, now, show_in
from federation.cli.show import JsonOut, align, pick, to_json
from federation.cli.words import said, titled
from federation.domain.findings import ProcedureCheck
from federation.domain.policy_check import FileCheck, TableCheck, check_files, check_sheets, check_tables, find_case
from federation.protocol.errors import MalformedError
from federation.protocol.ids import format_time
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.policy.explain import explain as explain_request
from federation.protocol.policy.explain import format_explanation

if TYPE_CHECKING:
    from federation.node.log.replay import Difference, Replay
    from federation.protocol.form import JsonValue
    from federation.protocol.leaf import Verdict
    from federation.protocol.policy import PolicyRequest

app = typer.Typer(name="policy", no_args_is_help=True, help="Policies: check them, explain a case, decide again.")

PoliciesOption = Annotated[Path, typer.Option("--policies", help="The folder of policy files.")]


@app.command()
def check(
    policies: PoliciesOption = Path("policies"),
    nodes: Annotated[Path, typer.Option("--nodes", help="The folder with the duty sheets of the provinces.")] = Path(
        "nodes"
    ),
    form: FormOption = Form.TEXT,
) -> None:
    """Check every policy file and every case, every procedure, the table of alerts and the duty of each province."""
    from federation.node.home.draft import read_duty_sheets
    from federation.node.home.files import read_policies

    files = read_policies(policies) | read_duty_sheets(nodes)
    file_checks = list(check_files(files))
    sound = all(found.failure is None for found in file_checks)
    tables = list(check_tables(files, load_policy_book(files))) if sound else []
    procedures = list(check_sheets(files))
    data = {"files": to_json(file_checks), "tables": to_json(tables), "procedures": to_json(procedures)}
    show_in(form, data, [*_check_lines(file_checks, tables), *_procedure_lines(procedures)])
    passed = sound and not any(table.failures for table in tables) and not any(each.findings for each in procedures)
    end(0 if passed else 1)


@app.command()
def explain(
    case: Annotated[str | None, typer.Argument(help="The name of a case, Chinese or English.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A question as JSON instead of a case.")] = None,
    policies: PoliciesOption = Path("policies"),
    form: FormOption = Form.TEXT,
) -> None:
    """Explain one case clause by clause, and what would make it lawful."""
    from federation.node.home.files import read_policies

    if (case is None) == (file is None):
        raise typer.BadParameter("写明案例名称，或者 --file | expected the name of a case, or --file")
    files = read_policies(policies)
    book = load_policy_book(files)
    explanation = explain_request(book, _load_request(files, book, case=case, file=file))
    decision = pick(explanation.decision, "verdict", "policies", "title_zh", "title_en")
    show_in(form, decision | pick(explanation, "remedy_zh", "remedy_en"), [format_explanation(explanation)])


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
    from federation.node.home.files import read_policies
    from federation.node.log.replay import Period
    from federation.node.log.replay import replay as decide_again
    from federation.protocol.ids import parse_time

    period = Period(since=parse_time(since) if since else None, until=parse_time(until) if until else None)
    draft = load_policy_book(read_policies(policies)) if policies else None
    found = decide_again(home, now=now(), period=period, draft=draft)
    drafted = draft is not None
    show_in(form, replay_object(found, drafted=drafted), replay_lines(found, drafted=drafted))
    end(0 if found.is_whole else 1)


def _load_request(
    files: Mapping[str, bytes], book: PolicyBook, *, case: str | None, file: Path | None
) -> PolicyRequest:
    from federation.node.home.files import read_file
    from federation.protocol.policy.engine import read_request

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


def _check_lines(files: Sequence[FileCheck], tables: Sequence[TableCheck]) -> Iterator[str]:
    rows = [(each.name, str(each.policies), each.failure or _result(())) for each in files]
    yield from _table("文件|file", "规则|policies", "结果|result", rows=rows)
    if tables:
        yield ""
        found = [(t.name, str(t.cases), str(len(t.failures)), _result(t.failures)) for t in tables]
        yield from _table("表|table", "案例|cases", "不符|failed", "结果|result", rows=found)
    for table in tables:
        for name, failure in table.failures.items():
            yield f"\n{table.name}: {name}\n  {failure}"


def _procedure_lines(procedures: Sequence[ProcedureCheck]) -> Iterator[str]:
    if procedures:
        yield ""
        found = [(p.name, str(p.stages), str(len(p.findings)), _result(p.findings)) for p in procedures]
        yield from _table("程序|procedure", "环节|stages", "问题|findings", "结果|result", rows=found)
    for each in procedures:
        yield from (f"\n{each.name}: {finding}" for finding in each.findings)


def _result(wrong: Collection[object]) -> str:
    return said("不通过|FAILED" if wrong else "通过|ok")


def _table(*heads: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    return align([tuple(map(said, heads)), *rows])


# ---- deciding again


def replay_lines(found: Replay, *, drafted: bool) -> Iterator[str]:
    made = f"存证日志中 {found.decisions} 个，提问策略 {found.questions} 次"
    made += f" | {found.decisions} in the log, with {found.questions} questions to policy"
    yield from align([
        (said("决定|decisions"), said(made)),
        (said("按策略重得|reproduced"), str(found.reproduced)),
        (said("按固定规则|by rule"), format_rules(found.by_rule)),
        (said("缺输入|no inputs"), str(len(found.without_inputs))),
    ])  # fmt: skip
    leaves = found.without_inputs
    if leaves:
        rows = [(format_time(leaf.time), leaf.subject[:16], _said(leaf.verdict, leaf.policies)) for leaf in leaves]
        yield from _table("时间|time", "消息|message", "当时|was", rows=rows)
    yield f"{titled('不同|differ')}{len(found.differing)}"
    yield from _difference_lines(found.differing)
    if drafted:
        yield f"{titled('草案改变|the draft changes')}{len(found.changed)}"
        yield from _difference_lines(found.changed)


def replay_object(found: Replay, *, drafted: bool) -> dict[str, JsonOut]:
    """A replay as JSON; what a draft changes only if one was compared."""
    data = pick(found, "decisions", "questions", "reproduced", "by_rule")
    data["without_inputs"] = [pick(leaf, "time", "subject", "policies") for leaf in found.without_inputs]
    data["differing"] = [_difference_object(each) for each in found.differing]
    if drafted:
        data["changed_by_draft"] = [_difference_object(each) for each in found.changed]
    return data


def format_rules(by_rule: Mapping[str, int]) -> str:
    named = ", ".join(f"{name} {count}" for name, count in by_rule.items())
    return f"{sum(by_rule.values())}{': ' if named else ''}{named}"


def _difference_lines(differences: Sequence[Difference]) -> Iterator[str]:
    """One line for each way to differ, with the first message of its kind: a bulk of like messages differs alike."""
    ways = Counter[tuple[str, str, str]]()
    first: dict[tuple[str, str, str], Difference] = {}
    for each in differences:
        way = (each.action or "its leaf", _said(*each.was), _said(each.now.verdict, each.now.policies))
        first.setdefault(way, each)
        ways[way] += 1
    rows = [(format_time(each.time), each.subject[:16], str(ways[way]), *way) for way, each in first.items()]
    if rows:
        heads = ("首次|first at", "首条消息|first message", "次数|how many", "行为|action", "当时|was", "如今|would be")
        yield from _table(*heads, rows=rows)


def _said(verdict: Verdict | None, policies: Sequence[str]) -> str:
    return f"{verdict.value if verdict else 'nothing'}: {', '.join(policies)}"


def _difference_object(found: Difference) -> JsonOut:
    verdict, policies = found.was
    then: JsonOut = {"verdict": to_json(verdict), "policies": policies}
    facts = pick(found, "time", "subject", "agreement_version", "action")
    return {**facts, "was": then, "now": pick(found.now, "verdict", "policies")}
