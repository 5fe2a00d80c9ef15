"""Measures what is paid when little happens: a node's duties over a large store, its memory, nodes at rest, commands.

Processor time is taken from the system for each process, not from the clock on the wall: it is not changed by whoever
else works on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Any, Final

from federation.cli.bench import MEMORY, CommandCost, Figure
from federation.cli.bench_runs import (
    LEVELS,
    RECEIVER,
    SENDER,
    measure,
    nodes_apart,
    open_desk,
    register_officers,
    register_people,
    resident_mib,
)
from federation.cli.bench_store import open_parts
from federation.cli.demo.provinces import (
    CLERK,
    DemoFederation,
    make_federation,
    own_keys,
    repository_folder,
    start_node,
    stop_nodes,
    wait_ready,
    write_federation_file,
)
from federation.cli.show import say
from federation.node.home.files import create_profile_key, remember_officer
from federation.node.intake.clock import check_desk, check_pending
from federation.node.node import Node
from federation.node.retention import destroy_ended
from federation.node.serve import utc_now
from federation.protocol.errors import UnavailableError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.tlog.cosignature import cosignature_time
from federation.protocol.tlog.note import parse_note
from federation.store.log_reader import load_head

ROUNDS: Final = 20
IN_FLIGHT: Final = 64
SAMPLES: Final = 8
LOOK_SECONDS: Final = 0.1
SETTLE_SECONDS: Final = 15.0
DUTIES: Final[Mapping[str, Callable[[Node], Awaitable[object]]]] = {
    "到期销毁，一轮|retention: a round": destroy_ended,
    "查询方期限，一轮|clocks, asking side: a round": check_pending,
    "受理岗期限，一轮|clocks, desk: a round": check_desk,
}
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ROOT: Final = repository_folder("policies").parent
_ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As at an office, where the first start leaves its bytecode to the next."""


def cpu_seconds(pid: int) -> float:
    """The processor time of a process so far, of all its threads, in its own code and in the system's."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def measure_duties(federation: DemoFederation, *, seconds: float) -> Sequence[Figure]:
    """The rounds in this process, then memory of real nodes under look-ups, then the auditor's."""
    found = await _measure_rounds(federation)
    try:
        found += await _measure_nodes(federation, seconds=seconds)
        found += await asyncio.to_thread(_measure_auditor, federation)
    finally:
        await asyncio.to_thread(stop_nodes, federation)
    return found


async def _measure_rounds(federation: DemoFederation) -> list[Figure]:
    found: list[Figure] = []
    async with open_parts(federation) as both:
        for parts in both:
            node = parts.node
            found.append(Figure(of=node.name, what="存证条目|leaves", value=load_head(node.database).size, unit=""))
            for name, duty in DUTIES.items():
                await duty(node)
                times = [await _cpu_of(duty, node) for _ in range(ROUNDS)]
                found.append(Figure(of=node.name, what=name, value=statistics.median(times), unit="ms"))
    return found


async def _cpu_of(duty: Callable[[Node], Awaitable[object]], node: Node) -> float:
    began = time.process_time()
    await duty(node)
    return (time.process_time() - began) * 1000


async def _measure_nodes(federation: DemoFederation, *, seconds: float) -> list[Figure]:
    """Starts all four, then look-ups as fast as they go: the memory at rest, and each eighth of the time."""
    for name in federation.homes:
        start_node(federation, name)
    await asyncio.to_thread(wait_ready, federation, list(federation.homes))
    pids = {name: federation.processes[name].pid for name in (SENDER, RECEIVER)}
    found = [
        Figure(of=name, what="启动|start", value=cpu_seconds(pid), unit="秒（处理器）|s of CPU")
        for name, pid in pids.items()
    ]
    found += [
        Figure(of=name, what="闲时内存|memory at rest", value=resident_mib(pid), unit="MiB")
        for name, pid in pids.items()
    ]
    say("查询 | look-ups")
    numbers = await register_people(federation, utc_now().date())
    async with open_desk(federation, numbers, police=LEVELS[64]) as desk:
        done = 0.0
        for _ in range(SAMPLES):
            await desk.make_room(int(400 * seconds / SAMPLES) + IN_FLIGHT)
            timing = await measure(desk.search, in_flight=IN_FLIGHT, seconds=seconds / SAMPLES)
            done += timing.rate_per_second * seconds / SAMPLES
            for name, pid in pids.items():
                what = f"又查询 {done:,.0f} 次后的内存|memory after {done:,.0f} more look-ups"
                found.append(Figure(of=name, what=what, value=resident_mib(pid), unit="MiB"))
    return found


def _measure_auditor(federation: DemoFederation) -> list[Figure]:
    """Runs `audit verify` as a program of its own; its memory and processor time are the system's account of it."""
    say("审计 | the auditor")
    found: list[Figure] = []
    for name, options in (("audit verify --roots-only", ["--roots-only"]), ("audit verify", [])):
        command = [sys.executable, "-m", "federation.cli.main", "audit", "verify", "--home", str(federation.folder)]
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # noqa: S603
        memory = spent = 0.0
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):  # it may end while it is looked at
                memory, spent = max(memory, resident_mib(process.pid)), cpu_seconds(process.pid)
            time.sleep(LOOK_SECONDS)
        if process.returncode:
            raise UnavailableError("BENCH_AUDIT", f"expected {name} to find nothing wrong, got {process.returncode}")
        found.append(Figure(of=name, what="内存最多|memory at most", value=memory, unit="MiB"))
        found.append(Figure(of=name, what="处理器时间|processor", value=spent, unit="s"))
    return found


async def measure_idle(folder: Path, *, minutes: float) -> Sequence[Figure]:
    """Four nodes with the settings of every node, and nothing to do for so many minutes."""
    federation = make_federation(folder, now=utc_now(), overrides={})
    nodes = list(federation.homes)
    try:
        for name in nodes:
            start_node(federation, name)
        await asyncio.to_thread(wait_ready, federation, nodes)
        await asyncio.sleep(SETTLE_SECONDS)
        say(f"闲置 {minutes:g} 分钟 | {minutes:g} minutes at rest")
        began, before = time.monotonic(), {name: _account(federation, name) for name in nodes}
        await asyncio.sleep(minutes * 60)
        spent = time.monotonic() - began
        found: list[Figure] = []
        for name in nodes:
            cpu, lines = (now - then for now, then in zip(_account(federation, name), before[name], strict=True))
            found += [
                Figure(of=name, what="占一个核|of one core", value=100 * cpu / spent, unit="%"),
                Figure(of=name, what="运行日志行数|lines in its log", value=lines, unit=""),
                Figure(of=name, what=MEMORY, value=resident_mib(federation.processes[name].pid), unit="MiB"),
                Figure(
                    of=name, what="最新见证行的龄期|age of its newest line", value=_head_age(federation, name), unit="s"
                ),
            ]
        return found
    finally:
        await asyncio.to_thread(stop_nodes, federation)


def _account(federation: DemoFederation, name: NodeName) -> tuple[float, float]:
    """The processor time of a node so far, and the lines of its log."""
    lines = (federation.homes[name].home / "node.log").read_bytes().count(b"\n")
    return cpu_seconds(federation.processes[name].pid), float(lines)


def _head_age(federation: DemoFederation, name: NodeName) -> float:
    """The age in seconds of the oldest among the newest lines that the witnesses gave to the head of a node."""
    settings = federation.homes[name].settings
    url = f"http://{settings.host}:{settings.read_port}/checkpoint"
    with urllib.request.urlopen(url, timeout=5) as answer:
        note = parse_note(answer.read())
    times: list[datetime] = [cosignature_time(line) for line in note.signatures[1:]]
    return (utc_now() - max(times)).total_seconds() if times else float("inf")


# ---- ordinary commands

HALL, TOWN, POLICE, DESK, MARKET = (
    f"{SENDER}/330822/{kind}" for kind in ("service-hall", "town", "police", "governance", "market")
)
INTAKE = f"{SENDER}/330112/police"
OWN_HOME, NOBODY = "home", ""
ORDINARY: Final[Mapping[str, str]] = {
    "permit list": HALL, "permit show {permit}": HALL, "case list": TOWN, "case show {case}": TOWN, "case due": TOWN,
    "case trace {case}": TOWN, "alert list": DESK, "alert show {alert}": DESK, "alert kinds": DESK,
    "lookup history": POLICE, "lookup inbox": INTAKE, "lead list": POLICE, "duty show": POLICE,
    "report quarter": POLICE, "report county 330822": POLICE, "report pair 330822 361123": POLICE,
    "report response": POLICE, "oversight flags": POLICE, "oversight digest": POLICE, "oversight notices": POLICE,
    "erasure list": POLICE, "subject corrections": POLICE, "node status": POLICE, "vehicle show 浙H·I0001": POLICE,
    "enterprise show 91330822DEM000001Y": MARKET, "agreement show": OWN_HOME, "keys show": OWN_HOME,
    "function list": NOBODY, "--help": NOBODY, "case act --help": NOBODY,
}  # fmt: skip
"""What somebody at a counter types all day, and who: an office, the operator of a node's home, or anybody."""
SEEDS: Final[Mapping[str, str]] = {
    "permit register --synthetic": HALL,
    "case open dispute-mediation --role town --division 330822 --set stage=registration --set source=walk_in": TOWN,
    "alert raise traffic.accident --desk 330822.governance --area pair.qiuchuan-shuangming --place 球川镇界路"
    " --fact 两车追尾，二人受伤 --detail injured=2 --priority 特急": DESK,
}
_NAMED: Final = {"permit": ("permits", "urn"), "case": ("lines", "code"), "alert": ("lines", "record")}
CEILING_SECONDS, HELP_CEILING_SECONDS = 0.35, 0.15
CALIBRATION: Final = (
    "import asyncio, argparse, concurrent.futures, ctypes, decimal, email.message, fractions, http.server,"
    " logging.config, multiprocessing, pdb, sqlite3, ssl, statistics, tarfile, tomllib, unittest, xml.dom.minidom"
)
"""A bare Python that loads much of its own library, as a command loads much of ours."""
CALIBRATION_SECONDS: Final = 0.09
"""Its processor time on the two cores, at rest, for which the ceilings were set."""


async def measure_commands(folder: Path, *, runs: int) -> Sequence[CommandCost]:
    """Each ordinary command at a node of its own with one permit, one case and one alert."""
    async with nodes_apart(folder, [SENDER]) as federation:
        write_federation_file(federation)
        for agency in sorted({each for each in ORDINARY.values() if "/" in each}):
            own = own_keys(federation, parse_agency_id(agency))
            register_officers(federation, agency, [CLERK], key=create_profile_key(own, CLERK))
            remember_officer(own, CLERK)
        for words, agency in SEEDS.items():
            await asyncio.to_thread(_answer, words, agency, federation.folder)
        return await asyncio.to_thread(measure_commands_at, federation.folder, runs=runs)


def measure_commands_at(folder: Path, *, runs: int) -> Sequence[CommandCost]:
    """The least that each took of so many runs, each beside a run of the calibration: who else works adds, only.

    One that shows what no office of the folder lists is left out. Refuses BENCH_COMMAND when one did not end well.
    """
    named = {name: found for name in _NAMED if (found := _find_first(name, folder))}
    lines = {
        words: _line(words.format_map(named), who, folder)
        for words, who in ORDINARY.items()
        if named.keys() >= {field for _, field, _, _ in Formatter().parse(words) if field}
    }
    least: dict[str, float] = {}
    say("普通命令 | ordinary commands")
    for run in range(runs + 1):  # the first fills the caches, of bytecode and of help
        for words, line in {"": [sys.executable, "-c", CALIBRATION], **lines}.items():
            spent = _spend(line, words)
            least[words] = min(spent, least.get(words, spent)) if run else spent
    calibration = least.pop("")
    return [
        CommandCost(
            command=words.partition(" {")[0],
            seconds=seconds,
            calibration_seconds=calibration,
            reference_seconds=seconds / calibration * CALIBRATION_SECONDS,
            ceiling_seconds=HELP_CEILING_SECONDS if "--help" in words else CEILING_SECONDS,
        )
        for words, seconds in least.items()
    ]


def _line(words: str, who: str, folder: Path) -> list[str]:
    at = {OWN_HOME: ["--home", str(folder / SENDER)], NOBODY: []}.get(who, ["--home", str(folder), "--agency", who])
    return [sys.executable, "-m", "federation.cli.main", *words.split(), *at]


def _spend(command: Sequence[str], words: str) -> float:
    """The processor time of a program, its own and the system's for it."""
    none = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=_ROOT, env=_ENVIRONMENT, stdin=none, stdout=none, stderr=none) as process:  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 1}:  # a no of policy, or of what is not there, is an answer
        raise UnavailableError("BENCH_COMMAND", f"expected {words} to be answered, got {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _answer(words: str, who: str, folder: Path) -> dict[str, Any]:
    command = [*_line(words, who, folder), "-o", "json"]
    done = subprocess.run(command, cwd=_ROOT, env=_ENVIRONMENT, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise UnavailableError("BENCH_COMMAND", f"expected {words} to be answered, got {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _find_first(name: str, folder: Path) -> str | None:
    """The first permit, case or alert that its office lists."""
    place, field = _NAMED[name]
    words = f"{name} list"
    lines = _answer(words, ORDINARY[words], folder)[place]
    return str(lines[0][field]) if lines else None
