"""`bridgehead demo`: four provinces on loopback, real processes, TLS and stores; only the people are invented."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption
from federation.cli.show import JsonOut, say, show_json
from federation.cli.words import error_halves, listed, titled, word_of
from federation.protocol.errors import NotFoundError

if TYPE_CHECKING:
    from federation.cli.demo.provinces import DemoFederation
    from federation.cli.demo.stage import Stage, Story

app = typer.Typer(invoke_without_command=True, help="Four provinces on loopback, on synthetic data.")
HomeOption = Annotated[Path, typer.Option("--home", help="Where the four homes are made.")]
RecordsOption = Annotated[int, typer.Option(min=8, max=1_000_000, help="How many permits are imported in all.")]
SeedOption = Annotated[int, typer.Option(help="The same seed makes the same people.")]
KeepOption = Annotated[bool, typer.Option("--keep", help="Leave the four nodes running.")]


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
    from federation.cli.demo.provinces import give_keys, set_up, stop_nodes
    from federation.cli.demo.stage import Story, node_name

    story = Story(out=sys.stdout if output is Form.TEXT else sys.stderr)
    story.title(
        "四省各建节点：密钥、两套证书、互不相干的存储 | Four homes: keys, two CAs each, a store each",
        "没有中心库，各省的记录和密钥只在本省 | There is no central store: records and keys stay in their province",
    )
    federation = set_up(home, now=datetime.now(UTC))
    for node, made in federation.homes.items():
        agencies, port = len(made.sheet.agencies), made.settings.peer_port
        text = f"{agencies} 个单位，对外端口 {port} | {agencies} agencies, for its peers on port {port}"
        story.line(text, lead=node_name(node))
    give_keys(federation)
    story.line(
        "每个单位的管理员和经办人各有本人密钥：谁经办谁签名"
        " | the administrator and the clerk of every agency have keys of their own: who acts signs each call"
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
    names = listed(word_of("NodeName", node) for node in pids)
    none = f"{home} 中没有运行的演示 | no demo runs in {home}"
    say(f"{titled('已停止节点|stopped')}{names}" if pids else none)
    if output is Form.JSON:
        show_json({"stopped": dict(pids)})


def _agree(federation: DemoFederation, story: Story) -> None:
    from federation.cli.demo.provinces import SIGNERS, draft, publish, sign
    from federation.cli.demo.stage import node_name
    from federation.protocol.errors import UntrustedError

    story.title(
        "四省签署协议：三省同意方可生效 | The agreement: three of four must sign",
        "谁可以看什么，写在协议里；哪一省都改不动 | Who may see what stands in it, and no province changes it alone",
    )
    out = draft(federation, now=datetime.now(UTC))
    for number, name in enumerate(SIGNERS, start=1):
        status = sign(federation, out, name, now=datetime.now(UTC))
        zh, en = ("", "") if status.complete else ("，尚未生效", ", not in force yet")
        story.line(f"签署，四省之 {number}{zh} | signs, {number} of 4{en}", lead=node_name(name))
        if number == 2:
            try:
                publish(federation, out, now=datetime.now(UTC))
            except UntrustedError as refusal:
                chinese, english = error_halves(refusal.message, refusal.reason)
                story.line(f"两省签名就公布？被拒：{chinese} | published with two signatures? refused: {english}")
    agreement = publish(federation, out, now=datetime.now(UTC))
    version, files, digest = agreement.version, len(agreement.files), agreement.digest[:16]
    story.line(
        f"生效：第 {version} 版，{files} 个已签文件，摘要 {digest}"
        f" | in force: version {version}, {files} signed files, digest {digest}"
    )


def _exchange(federation: DemoFederation, story: Story, *, records: int, seed: int) -> dict[str, JsonOut]:
    from federation.cli.demo.provinces import start_node, wait_ready, write_federation_file
    from federation.cli.demo.stage import Stage, node_name

    story.title(
        "启动四个节点，各为独立进程 | Four nodes, each a process of its own",
        "一省停机，其余照办：边界上没有总开关 | One may stop and the others work on: there is no main switch",
    )
    for node in federation.homes:
        start_node(federation, node)
    wait_ready(federation, list(federation.homes))
    path = write_federation_file(federation)
    for node, process in federation.processes.items():
        story.line(f"进程 {process.pid} | process {process.pid}", lead=node_name(node))
    story.line(f"各节点所在：{path} | who is where: {path}")
    stage = Stage(federation=federation, story=story, seed=seed)
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
        stage.title(
            "本人在休宁窗口查阅：谁查过我 | The person asks at a counter in Xiuning: who looked at me?",
            "任何人都能就近知道谁查过自己、凭哪条法律 | Anybody learns nearby who looked at them, and by which law",
        )
        running = await scenes.report(stage)
        refused |= await scenes.close_cases(stage)
        ended = await scenes.report(stage, silent=True)
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


def _verify(federation: DemoFederation, story: Story) -> int:
    story.title(
        "审计：重算四本日志，逐条对账 | Audit: every root recomputed, every message matched",
        "不必相信任何一省，也能核对四省 | One need not believe any province to check all four",
    )
    command = [sys.executable, "-m", "federation.cli.main", "audit", "verify", "--home", str(federation.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    for line in (done.stdout + done.stderr).splitlines():
        story.line(line)
    return done.returncode


def _replay(federation: DemoFederation, story: Story) -> dict[str, JsonOut]:
    from federation.cli.demo.stage import node_name
    from federation.cli.policy import format_rules
    from federation.node.log.replay import Period, replay

    story.title(
        "重演：按当日规则重做四本日志中的每一个决定 | Replay: every decision of the four logs, decided again",
        "当时为什么准、为什么不准，今后随时能重算 | Why it was allowed or refused can be worked out at any time",
    )
    found = {node: replay(home.home, now=datetime.now(UTC), period=Period()) for node, home in federation.homes.items()}
    by_rule = Counter[str]()
    for node, each in found.items():
        rules = format_rules(each.by_rule)
        chinese = f"{each.decisions} 个决定：按策略重得 {each.reproduced} 个，按固定规则 {rules}"
        english = f"{each.decisions} decisions: {each.reproduced} the same by policy, by rule {rules}"
        story.line(f"{chinese} | {english}", lead=node_name(node))
        by_rule.update(each.by_rule)
    total = {
        "decisions": sum(each.decisions for each in found.values()),
        "reproduced": sum(each.reproduced for each in found.values()),
        "differing": sum(len(each.differing) for each in found.values()),
        "without_inputs": sum(len(each.without_inputs) for each in found.values()),
    }
    decisions, reproduced, differing, without = total.values()
    story.line(
        f"共 {decisions} 个决定：按策略重得 {reproduced} 个，按固定规则 {by_rule.total()} 个；不同的 {differing} 个，"
        f"缺输入的 {without} 个 | every decision of the four logs, decided again: {reproduced} of {decisions} the same "
        f"by policy, {by_rule.total()} by rule; {differing} differ, {without} without inputs"
    )
    return {**total, "by_rule": by_rule, "whole": all(each.is_whole for each in found.values())}


def _farewell(federation: DemoFederation, story: Story, *, kept: bool, code: int) -> None:
    from federation.cli.demo.provinces import write_federation_file

    write_federation_file(federation)
    zh, en = ("四本日志均已核实，一条不缺", "all four logs verified, nothing missing")
    if code:
        zh, en = ("未通过核实，见上", "NOT VERIFIED, see above")
    seconds = f"{story.seconds():.0f}"
    story.title(f"完成，用时 {seconds} 秒：{zh} | Done in {seconds} s: {en}")
    if kept:
        story.line("节点继续运行，可以试试： | the nodes run on. Try:")
        story.line(f"bridgehead permit list --home {federation.folder} --agency jiangxi/361123/police")
        story.line(f"bridgehead audit verify --home {federation.folder}")
        story.line(f"bridgehead demo stop --home {federation.folder}")
