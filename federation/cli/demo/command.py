"""`bridgehead demo`: four provinces on loopback, real processes, TLS and stores; only the people are invented."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption
from federation.cli.show import JsonOut, say, show_json
from federation.protocol.errors import NotFoundError

if TYPE_CHECKING:
    from federation.cli.demo.provinces import DemoFederation
    from federation.cli.demo.stage import Stage

app = typer.Typer(invoke_without_command=True, help="Four provinces on loopback, on synthetic data.")
HomeOption = Annotated[Path, typer.Option("--home", help="Where the four homes are made.")]
RecordsOption = Annotated[int, typer.Option(min=8, max=1_000_000, help="How many permits are imported in all.")]
SeedOption = Annotated[int, typer.Option(help="The same seed makes the same people.")]
KeepOption = Annotated[bool, typer.Option("--keep", help="Leave the four nodes running.")]


@dataclass
class _Story:
    form: Form
    began: float = field(default_factory=time.monotonic)
    chapter: int = 0

    def title(self, text: str) -> None:
        self.chapter += 1
        self._print(f"\n{self.chapter}. {text}")

    def line(self, text: str) -> None:
        self._print(f"   {text}")

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def _print(self, text: str) -> None:
        if self.form is Form.TEXT:
            print(text, flush=True)
        else:
            say(text)


@app.callback()
def demo(
    context: typer.Context,
    home: HomeOption = Path(".demo"),
    records: RecordsOption = 2000,
    seed: SeedOption = 1,
    keep: KeepOption = False,
    output: FormOption = Form.TEXT,
) -> None:
    """Set up four provinces, live a day at their border with nodes that die and come back, verify every log."""
    if context.invoked_subcommand is None:
        run(home=home, records=records, seed=seed, keep=keep, output=output)


@app.command()
def run(
    home: HomeOption = Path(".demo"),
    records: RecordsOption = 2000,
    seed: SeedOption = 1,
    keep: KeepOption = False,
    output: FormOption = Form.TEXT,
) -> None:
    """Set up four provinces, live a day at their border with nodes that die and come back, verify every log."""
    from federation.cli.demo.provinces import ADMINISTRATOR, CLERK, give_keys, set_up, stop_nodes

    story = _Story(output)
    story.title("四省各建节点：密钥、两套证书、互不相干的存储 | Four homes: keys, two CAs each, a store each")
    federation = set_up(home, now=datetime.now(UTC))
    for node, made in federation.homes.items():
        agencies = len(made.sheet.agencies)
        story.line(f"{node:<9} {made.sheet.name}  {agencies} agencies  peers on port {made.settings.peer_port}")
    give_keys(federation)
    story.line(
        f"{ADMINISTRATOR!r} and {CLERK!r} of every agency have own keys beside the profile: who acts signs each call"
    )
    _agree(federation, story)
    kept = False
    try:
        summary = _exchange(federation, story, records=records, seed=seed)
        code = _verify(federation, story)
        replayed = _replay(federation, story)
        code = code or int(not replayed["whole"])
        kept = keep and code == 0
    finally:
        if not kept:
            stop_nodes(federation)
    _farewell(federation, story, kept=kept, code=code)
    if output is Form.JSON:
        data: dict[str, JsonOut] = {
            "replay": replayed,
            "verified": code == 0,
            "seconds": round(story.seconds(), 1),
            "home": str(home),
        }
        show_json({**summary, **data})
    raise typer.Exit(code)


@app.command()
def stop(home: HomeOption = Path(".demo"), output: FormOption = Form.TEXT) -> None:
    """Stop the nodes that `bridgehead demo run --keep` left."""
    from federation.cli.demo.provinces import running_pids, stop_pids

    pids = running_pids(home)
    stop_pids(pids)
    say(f"stopped {', '.join(pids)}" if pids else f"no demo runs in {home}")
    if output is Form.JSON:
        show_json({"stopped": dict(pids)})


def _agree(federation: DemoFederation, story: _Story) -> None:
    from federation.cli.demo.provinces import SIGNERS, draft, publish, sign
    from federation.protocol.errors import UntrustedError

    story.title("四省签署协议：三省同意方可生效 | The agreement: three of four must sign")
    out = draft(federation, now=datetime.now(UTC))
    for number, name in enumerate(SIGNERS, start=1):
        status = sign(federation, out, name, now=datetime.now(UTC))
        story.line(f"{name} signs: {number} of 4{'' if status.complete else ', not in force yet'}")
        if number == 2:
            try:
                publish(federation, out, now=datetime.now(UTC))
            except UntrustedError as refusal:
                story.line(f"published with two signatures? refused: {refusal.message}")
    agreement = publish(federation, out, now=datetime.now(UTC))
    story.line(
        f"in force: version {agreement.version}, {len(agreement.files)} signed files, digest {agreement.digest[:16]}"
    )


def _exchange(federation: DemoFederation, story: _Story, *, records: int, seed: int) -> dict[str, JsonOut]:
    from federation.cli.demo.provinces import start_node, wait_ready, write_federation_file
    from federation.cli.demo.stage import Stage

    story.title("启动四个节点，各为独立进程 | Four nodes, each a process of its own")
    for node in federation.homes:
        start_node(federation, node)
    wait_ready(federation, list(federation.homes))
    path = write_federation_file(federation)
    for node, process in federation.processes.items():
        story.line(f"{node:<9} pid {process.pid}")
    story.line(f"who is where: {path}")
    stage = Stage(federation=federation, title=story.title, line=story.line, seed=seed)
    return asyncio.run(_scenes(stage, records=records))


async def _scenes(stage: Stage, *, records: int) -> dict[str, JsonOut]:
    from federation.cli.demo import border_scenes, joint_cases, scenes

    try:
        await stage.register_clerks()
        refused_by = await scenes.recognise(stage, await scenes.register(stage))
        answers, released = await scenes.look_up(stage)
        refused = await scenes.refuse(stage)
        registers = await scenes.look_up_registers(stage)
        desk = await scenes.ask_inland(stage)
        finding = await scenes.break_glass(stage)
        stage.title("本人在休宁窗口查阅：谁查过我 | The person asks at a counter in Xiuning: who looked at me?")
        running = await scenes.report(stage)
        refused |= await scenes.close_cases(stage)
        ended = await scenes.report(stage)
        if ended[1]:
            raise NotFoundError("DEMO_WITHHELD", f"expected nothing held back, got {ended[1]}")
        joint = {"wage": await joint_cases.claim_wages(stage), "vehicle": await joint_cases.renew_licence(stage)}
        border = await border_scenes.border_day(stage)
        imported = await scenes.import_all(stage, records)
        border["report"] = await border_scenes.count_day(stage)
    finally:
        await stage.close()
    lines, withheld = ([running[place], ended[place]] for place in (0, 1))
    return {
        **imported,
        "refused_by": refused_by,
        "lookup": {"answers": answers, "released": released, "refused": refused},
        "registers": registers,
        "desk": desk,
        "person": {"break_glass": finding, "lines": lines, "withheld": withheld},
        "joint_cases": joint,
        "border": border,
    }


def _verify(federation: DemoFederation, story: _Story) -> int:
    story.title("审计：重算四本日志，逐条对账 | Audit: every root recomputed, every message matched")
    command = [sys.executable, "-m", "federation.cli.main", "audit", "verify", "--home", str(federation.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    for line in (done.stdout + done.stderr).splitlines():
        story.line(line)
    return done.returncode


def _replay(federation: DemoFederation, story: _Story) -> dict[str, JsonOut]:
    from federation.cli.policy import format_rules
    from federation.node.log.replay import Period, replay

    story.title("重演：按当日规则重做四本日志中的每一个决定 | Replay: every decision of the four logs, decided again")
    found = {node: replay(home.home, now=datetime.now(UTC), period=Period()) for node, home in federation.homes.items()}
    by_rule = Counter[str]()
    for node, each in found.items():
        summary = f"{each.reproduced} the same by policy, by rule {format_rules(each.by_rule)}"
        story.line(f"{node:<9} {each.decisions} decisions: {summary}")
        by_rule.update(each.by_rule)
    total = {
        "decisions": sum(each.decisions for each in found.values()),
        "reproduced": sum(each.reproduced for each in found.values()),
        "differing": sum(len(each.differing) for each in found.values()),
        "without_inputs": sum(len(each.without_inputs) for each in found.values()),
    }
    story.line(
        f"every decision of the four logs, decided again: {total['reproduced']} of {total['decisions']} the same by "
        f"policy, {by_rule.total()} by rule; {total['differing']} differ, {total['without_inputs']} without inputs"
    )
    return {**total, "by_rule": by_rule, "whole": all(each.is_whole for each in found.values())}


def _farewell(federation: DemoFederation, story: _Story, *, kept: bool, code: int) -> None:
    from federation.cli.demo.provinces import write_federation_file

    write_federation_file(federation)
    verdict = "all four logs verified, nothing missing" if code == 0 else "NOT VERIFIED: see above"
    story.title(f"完成 | Done in {story.seconds():.0f} s: {verdict}")
    if kept:
        story.line("the nodes run on. Try:")
        story.line(f"bridgehead permit list --home {federation.folder} --agency jiangxi/361123/police")
        story.line(f"bridgehead audit verify --home {federation.folder}")
        story.line(f"bridgehead demo stop --home {federation.folder}")
