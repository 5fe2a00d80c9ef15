"""`bridgehead node`: make a node, run it, look at it. Log lines: stderr, JSON, without fields about persons."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from federation.cli.next_step import exit_code
from federation.cli.options import (
    CLIENT_VARIABLE,
    AgencyOption,
    ClientOption,
    Form,
    FormOption,
    NodeHome,
    TimeoutOption,
    ask_node,
    end,
    find_profile,
    now,
    profiles_in,
    run_loop,
    show_in,
)
from federation.cli.show import JsonOut, align, object_of, say
from federation.cli.words import error_text, pair, punctuated, said, short, titled, word_of
from federation.domain.permits import HOLDER_FIELDS
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.ids import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from federation.node.home.files import AgencyProfile
    from federation.wire.agency.node import NodeStatus, PeerState

app = typer.Typer(name="node", no_args_is_help=True, help="Make, run and look at one province's node.")

PERSONAL_FIELDS = (frozenset(HOLDER_FIELDS) - {"household_division"}) | {
    "name", "residence_address", "holder", "permit", "application", "body", "content", "subject",
}  # fmt: skip
"""What is never written to a log line, whoever logs it."""

_LOOK_SECONDS = 0.2
_FOUND = {
    "missing": "缺失|missing", "changed": "改动|changed", "extra": "多出|extra", "older": "回退|set back",
}  # fmt: skip
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")


@app.command("init")
def init(
    home: NodeHome,
    province: Annotated[Path, typer.Option("--from", help="The province's folder, e.g. nodes/zhejiang.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value, instead of node.toml's.")] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """Make a node's home: settings, private keys, certificates, a profile for each agency."""
    from federation.node.home.setup import BUNDLE_FILE, create_home

    made = create_home(home, province, now=now(), overrides=_parse_settings(settings or []))
    node, agencies = made.settings.node, [str(agency.id) for agency in made.sheet.agencies]
    data: JsonOut = {"node": node, "home": str(home), "bundle": str(home / BUNDLE_FILE), "agencies": agencies}
    count = f"{len(agencies)} {said('个单位|agencies')}"
    show_in(form, data, [f"{node}{punctuated(': ')}{home}  {count}  {word_of('Realm', made.settings.realm)}"])
    bundle = home / BUNDLE_FILE
    for number, step in enumerate((
        f"与各省交换 {bundle}，电话核对密钥 | exchange {bundle} with each province, compare keys by telephone",
        "起草协议，每省一份 | draft, one bundle a province: bridgehead agreement draft --out DRAFT --bundle FILE",
        f"签字，签够后发布 | sign; when enough have, agreement publish: bridgehead agreement sign DRAFT --home {home}",
        f"启动节点 | start the node: bridgehead node serve --home {home}",
    ), start=1):  # fmt: skip
        say(f"{number}. {said(step)}")


@app.command("serve")
def serve(
    home: NodeHome,
    pretty: Annotated[bool, typer.Option("--pretty", help="Log lines for people, not JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Every message and every try.")] = False,
    island: Annotated[
        str | None,
        typer.Option(
            "--island",
            metavar="WHO-AND-WHY",
            help="Vouch for this log's history where too few provinces confirm it; becomes a leaf.",
        ),
    ] = None,
) -> None:
    """Run the node until SIGTERM or SIGINT. Log lines go to stderr.

    It writes once enough provinces have confirmed its log's history: start the first nodes of a federation together.
    """
    from federation.node.serve import serve as serve_node

    configure_log(pretty=pretty, verbose=verbose)
    gc.freeze()  # what was imported stays: no collection looks through it, which holds up every call for a while
    run_loop(serve_node(home, island=island))


@app.command("status")
def status(
    client: ClientOption = None,
    home: Annotated[Path, typer.Option("--home", help="A node's home, or a folder with federation.json.")] = Path(
        ".demo"
    ),
    agency: AgencyOption = None,
    timeout: TimeoutOption = 5.0,
    wait: Annotated[float, typer.Option("--wait", min=0, max=3600, help="Seconds to wait until it is well.")] = 0.0,
    form: FormOption = Form.TEXT,
) -> None:
    """Show how a node is: its log, its agreement, its peers, its warnings. A federation.json means all its nodes.

    Exit 1 when a log stopped, is disputed, not confirmed yet or without its quorum of witnesses; 3 when a node is not
    reached.
    """
    answers = asyncio.run(_ask_until_well(_profiles(client, home, agency), timeout, wait))
    data: JsonOut = {"nodes": [_answer_object(answer) for answer in answers]}
    show_in(form, data, (line for answer in answers for line in _answer_lines(answer)))
    end(max(map(_answer_code, answers), default=0))


@app.command("check")
def check(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Derive messages and records again from the log, and name every row that is missing, changed or extra.

    The node may be running. Exit 1 when there is one: restore the store, or ask the other provinces for what is gone.
    """
    from federation.node.log.check import check_home

    checked = check_home(home)
    rows = [
        (said(_FOUND[each.what]), each.kind, each.name or "-", "-" if each.leaf_index is None else str(each.leaf_index),
         str(each.count))
        for each in checked.findings
    ]  # fmt: skip
    findings: JsonOut = [
        {"what": each.what, "kind": each.kind, "name": each.name, "leaf_index": each.leaf_index, "count": each.count}
        for each in checked.findings
    ]
    zh = f"已核对日志 {checked.leaves} 条，不符 {len(rows)} 处"
    head = pair(zh, f"{checked.leaves} leaves checked, findings: {len(rows)}")
    lines = (
        align([(said("问题|finding"), said("种类|kind"), said("行|row"), said("日志|leaf"), said("数|count")), *rows])
        if rows
        else []
    )
    show_in(form, {"leaves": checked.leaves, "findings": findings}, [head, *lines])
    end(1 if checked.findings else 0)


@app.command("conform")
def conform(
    node: Annotated[str, typer.Argument(help="The node of another province, such as jiangsu.")],
    home: NodeHome,
    out: Annotated[Path | None, typer.Option("--out", help="A new file for the signed report.")] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """Probe another province's running node from outside: agreement, clock, TLS, refusals, limits, log.

    The report is signed with this home's message key, for 'agreement draft --actual FILE'. Exit 1 when it failed.
    """
    from federation.cli import conformance
    from federation.node.home.files import write_public
    from federation.protocol.form import encode
    from federation.protocol.ids import parse_node_name

    report = run_loop(conformance.conform(home, parse_node_name(node), now=now))
    if out is not None:
        write_public(out, encode(report))
    rows = [
        (said("通过|PASS") if each.passed else said("未通过|FAIL"), said(conformance.NAMES[each.name]), each.found)
        for each in report.checks
    ]
    head = f"{word_of('NodeName', report.node)}  {said('通过|PASS') if report.passed else said('未通过|FAIL')}"
    show_in(form, {**object_of(report), "passed": report.passed}, [head, *align(rows)])
    end(0 if report.passed else 1)


@app.command("config")
def config(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Show the settings in force, and where each is from: the environment, node.toml, or the default."""
    from federation.node.home.config import load_settings

    settings = load_settings(home).model_dump(mode="json")
    settings["database"] = _PASSWORD.sub("***", settings["database"])
    written = tomllib.loads((home / "node.toml").read_text(encoding="utf-8"))
    sources = {name: _source_of(name, written) for name in settings}
    data: JsonOut = {name: {"value": value, "from": sources[name]} for name, value in settings.items()}
    show_in(form, data, (f"{name:<26}{value!s:<30}{sources[name]}" for name, value in settings.items()))


def configure_log(*, pretty: bool = False, verbose: bool = False, quiet: bool = False) -> None:
    """Sends log lines to stderr, as JSON or `pretty`; nothing that names a person, no values of variables."""
    import structlog
    from structlog.typing import Processor

    level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        drop_personal_fields,
    ]
    written: Processor = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, written],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    lines = logging.StreamHandler(sys.stderr)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    lines.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[strip, written]))
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)


def drop_personal_fields(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    for name in PERSONAL_FIELDS & event.keys():
        event[name] = "[dropped]"
    return event


class _Answer(Struct, frozen=True):
    node: str
    status: NodeStatus | None = None
    error: BridgeheadError | None = None


def _parse_settings(pairs: list[str]) -> dict[str, str | int | float | bool]:
    from federation.node.home.config import NodeSettings

    found: dict[str, str | int | float | bool] = {}
    for given in pairs:
        name, equals, text = given.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"--set 应写作 名称=值：{given!r:.50} | --set: expected key=value, got {given!r:.50}",
                param_hint="--set",
            )
        if name not in NodeSettings.model_fields:
            known = ", ".join(NodeSettings.model_fields)
            raise MalformedError("SETTINGS", f"no such setting: {name!r:.40}; there are {known}")
        found[name] = text if NodeSettings.model_fields[name].annotation is str else _parse_value(text)
    return found


def _parse_value(text: str) -> str | int | float | bool:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _profiles(client: Path | None, home: Path, agency: str | None) -> list[AgencyProfile]:
    """The one that is named, else one of each node that the folder knows."""
    from federation.node.home.files import load_profile

    if client is not None or agency is not None or (os.environ.get(CLIENT_VARIABLE) and not home.exists()):
        return [find_profile(client, home, agency)]
    by_node: dict[str, Path] = {}
    for name, path in sorted(profiles_in(home).items()):
        by_node.setdefault(name.partition("/")[0], path)
    return [load_profile(path) for path in by_node.values()]


async def _ask_until_well(profiles: list[AgencyProfile], seconds: float, wait: float) -> list[_Answer]:
    end_time = asyncio.get_running_loop().time() + wait
    while True:
        answers = await _ask_all(profiles, seconds)
        if not any(map(_answer_code, answers)) or asyncio.get_running_loop().time() >= end_time:
            return answers
        await asyncio.sleep(_LOOK_SECONDS)


async def _ask_all(profiles: list[AgencyProfile], seconds: float) -> list[_Answer]:
    return list(await asyncio.gather(*(_ask(profile, seconds) for profile in profiles)))


async def _ask(profile: AgencyProfile, seconds: float) -> _Answer:
    from federation.wire.agency.node import GET_STATUS
    from federation.wire.rpc import Nothing

    try:
        status = await ask_node(profile, lambda it: it.call(GET_STATUS, None, Nothing()), timeout_seconds=seconds)
    except BridgeheadError as error:
        return _Answer(profile.node, error=error)
    return _Answer(profile.node, status=status)


def _answer_code(answer: _Answer) -> int:
    if answer.error is not None:
        return exit_code(answer.error)
    return int(answer.status is not None and (bool(answer.status.troubles) or _lacks_quorum(answer.status)))


def _lacks_quorum(found: NodeStatus) -> bool:
    """True for a log that has entries, and whose newest head that was offered has not the agreed witnesses."""
    return bool(found.witnesses and found.tree_size) and not found.quorum_met


def _answer_object(answer: _Answer) -> dict[str, JsonOut]:
    error = answer.error
    if answer.status is None:
        data: JsonOut = {"reason": error.reason, "message": error.message} if error else None
        return {"node": answer.node, "reachable": False, "error": data}
    return {**object_of(answer.status), "reachable": True}


def _answer_lines(answer: _Answer) -> Iterator[str]:
    found = answer.status
    if found is None:
        error = answer.error
        why = "" if error is None else f"{error_text(error.message, error.reason)} [{error.reason}]"
        yield f"{answer.node}{punctuated(': ')}{titled('无法连接|not reached')}{why}"
        return
    yield from (f"{found.node}{punctuated(': ')}{said(trouble)}" for trouble in found.troubles)
    software = f"{said('软件|software')} {found.software_version}"
    yield f"{word_of('NodeName', found.node)}  {found.federation}  {word_of('Realm', found.realm)}  {software}"
    yield from (f"  {line}" for line in align(list(_fact_rows(found))))
    rows = [_peer_row(peer, found.tree_size) for peer in found.peers]
    yield from (f"  {line}" for line in align([tuple(map(said, _PEER_HEAD)), *rows]))
    if found.witnesses and found.tree_size:
        yield f"  {said('见证|witnesses')}  {_witness_line(found)}"
    yield from (f"  {titled('注意|warning')}{said(warning)}" for warning in found.warnings)


def _fact_rows(found: NodeStatus) -> Iterator[tuple[str, str]]:
    until = f"{said('至|until')} {format_time(found.agreement_expires)}"
    fresh = word_of("Freshness", found.agreement_freshness)
    yield said("日志|log"), f"{found.tree_size} {said('条|entries')}"
    yield said("协议|agreement"), f"{said('版本|version')} {found.agreement_version}  {fresh}  {until}"
    free, size = found.disk_free_bytes / (1 << 30), found.disk_size_bytes / (1 << 30)
    yield said("磁盘|disk"), f"{said('可用|free')} {free:.1f} / {size:.1f} GiB"
    if found.endings:
        first = found.endings[0]
        yield said("最早到期|ends"), f"{first.name} {format_time(first.end_time)}"
    if found.intake_waiting:
        yield said("待办|desk"), f"{found.intake_waiting} {said('件|waiting')}"


_PEER_HEAD = (
    "邻省|peer", "可达|reached", "上次联络|last contact", "待发|waiting", "最早|oldest", "已过期|expired",
    "已见证|cosigned", "时钟|clock", "上次回执|last receipt",
)  # fmt: skip


def _peer_row(peer: PeerState, tree_size: int) -> tuple[str, ...]:
    offset = peer.clock_offset_millis
    return (
        word_of("NodeName", peer.node),
        said("是|yes" if peer.reachable else "否|NO"),
        _age(peer.last_contact_time),
        str(peer.waiting_count),
        _age(peer.oldest_waiting_time),
        str(peer.expired_count),
        f"{peer.cosigned_size} / {tree_size}",
        "-" if offset is None else f"{offset / 1000:+.2f} {short('秒|s')}",
        "-" if peer.last_receipt_time is None else format_time(peer.last_receipt_time),
    )


def _age(time: datetime | None) -> str:
    """The time that has passed since, in one unit; a dash for never."""
    if time is None:
        return "-"
    seconds = max(0, round((now() - time).total_seconds()))
    for unit, length in (("天前|d ago", 86_400), ("小时前|h ago", 3_600), ("分钟前|min ago", 60)):
        if seconds >= length:
            return f"{seconds // length} {short(unit)}"
    return f"{seconds} {short('秒前|s ago')}"


def _witness_line(found: NodeStatus) -> str:
    quorum = said("达到约定人数|quorum met" if found.quorum_met else "未达约定人数|QUORUM NOT MET")
    lines = []
    for each in found.witnesses:
        state = each.trouble or (format_time(each.cosigned_time) if each.cosigned_time else "-")
        lines.append(f"{each.name} {each.cosigned_size} ({state})")
    newest = f"{sum(each.on_newest_head for each in found.witnesses)} / {len(found.witnesses)}"
    return f"{quorum}  {titled('在最新日志头上|on the newest head')}{newest}  {', '.join(lines)}"


def _source_of(name: str, written: Mapping[str, object]) -> str:
    if any(variable.upper() == f"BRIDGEHEAD_{name.upper()}" for variable in os.environ):
        return "environment"
    return "node.toml" if name in written else "default"
