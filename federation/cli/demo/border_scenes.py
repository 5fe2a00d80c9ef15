"""The border's alerts in the demo: a forest fire beside its exercise, a broken line, a shift's end, a file.

Every line is told by the clock at which it was done, by a desk at its own node; what another desk sees, it read there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Final, TypeVar

from federation.cli.alert_rows import desk_halves, desk_name
from federation.cli.demo.provinces import kill_node, start_node, wait_ready, write_federation_file
from federation.cli.demo.stage import PATIENCE_SECONDS, Stage, padded
from federation.cli.figures_text import difference_names, group_name, value_text
from federation.cli.show import CHINA, JsonOut, align
from federation.cli.words import error_halves, pair, word_halves
from federation.domain.alert import AlertState
from federation.domain.alert_line import AlertLine
from federation.domain.alert_policy import DUTY_PURPOSE
from federation.domain.alert_rules import AgreedAlerts, read_alert_rules
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.domain.duty_roster import DUTY_FUNCTIONS, HandOver, hand_over_bytes
from federation.domain.figures_report import (
    REPORT_FUNCTION,
    REPORT_PURPOSE,
    Report,
    ReportKind,
    open_report,
    read_report,
    unite_reports,
)
from federation.protocol.errors import NotFoundError, RuleError, UnavailableError
from federation.protocol.form import decode, replace
from federation.protocol.ids import AgencyId, NodeName, format_base64
from federation.protocol.trust import Agreement, message_keys_at
from federation.wire.agency import alerts, duty
from federation.wire.agency.alerts import AlertExport, AlertQuery, AlertRaising, AlertStep, AlertWatch, CapUpload
from federation.wire.agency.figures import READ_REPORT, ReportQuery
from federation.wire.rpc import Act, Rpc

FIRE, CRASH = "forest.fire", "traffic.accident"
CHANGSHAN_FIRE, YUSHAN_FIRE, PUCHENG_FIRE = "330822.emergency", "361123.emergency", "350722.emergency"
CHANGSHAN, YUSHAN, LEADER = "330822.governance", "361123.governance", "330822.leader"
ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
RIDGE: Final = {"area": "330822.circle.qiuchuan,361123.circle.shuangming", "division": "330822111,361123108"}
PAIR: Final = {"area": "pair.qiuchuan-shuangming", "division": "361123108", "ticked": "on_the_line"}
DAY, NIGHT = "changshan-day", "changshan-night"
A = TypeVar("A")
Q = TypeVar("Q")


@dataclass(kw_only=True)
class Desks:
    """The duty desks of the border, each acting at the node of its office."""

    stage: Stage

    @property
    def agreement(self) -> Agreement:
        agreement = self.stage.federation.agreement
        if agreement is None:
            raise NotFoundError("AGREEMENT_MISSING", "expected a published agreement")
        return agreement

    @cached_property
    def rules(self) -> AgreedAlerts:
        return read_alert_rules(self.agreement.files)

    def office(self, desk: str) -> AgencyId:
        found = self.rules.agency_of(desk)
        if found is None:
            raise NotFoundError("DEMO_DESK", f"no duty sheet has {desk}")
        return found

    async def raises(
        self, desk: str, kind: str, where: Mapping[str, str], *items: CaseItem, said: str, drill: bool = False
    ) -> AlertLine:
        """A desk raises an alert, which is told in a line (DEMO_REFUSED)."""
        status = Status.EXERCISE if drill else Status.ACTUAL
        fields = {"desk": desk, "kind": kind, "status": status.value, **where}
        asked = AlertRaising(fields=fields, items=items)
        outcome = await self.stage.call(str(self.office(desk)), alerts.RAISE_ALERT, self._act(desk, kind), asked)
        if outcome.line is None:
            raise NotFoundError("DEMO_REFUSED", f"expected an alert: {outcome.decision.title_en}")
        line, (zh, en) = outcome.line, said.split(" | ")
        mark = ("【演练】", "[exercise] ") if drill else ("", "")
        self.tell(desk, f"{mark[0]}首报{line.zh}：{zh} | {mark[1]}raise: {line.en}, {en}")
        self.stage.tell(line.cap_id, lead=" " * len("hh:mm:ss  "))
        return line

    async def does(
        self, desk: str, alert: AlertLine, name: str, *items: CaseItem, said: str = "", **fields: str
    ) -> AlertLine:
        """A desk does one act, which has effect and is told in a line (DEMO_REFUSED)."""
        asked = AlertStep(alert=alert.record, name=name, fields={"desk": desk, **fields}, items=items)
        outcome = await self.stage.call(str(self.office(desk)), alerts.ACT_IN_ALERT, self._act(desk, alert.kind), asked)
        entry, line = outcome.entry, outcome.line
        if entry is None or line is None or entry.without_effect:
            why = outcome.decision.title_en if entry is None else entry.without_effect
            raise NotFoundError("DEMO_REFUSED", f"{name} by {desk}: {why}")
        zh, en = said.split(" | ") if said else ("", "")
        self.tell(desk, f"{entry.act_zh}{zh and '：'}{zh} | {entry.act_en}{en and ': '}{en}")
        return line

    async def refused(self, desk: str, alert: AlertLine, name: str, **fields: str) -> str:
        """A desk is told why it cannot do an act; returns the reason (DEMO_ALLOWED)."""
        asked = AlertStep(alert=alert.record, name=name, fields={"desk": desk, **fields})
        try:
            await self.stage.call(str(self.office(desk)), alerts.ACT_IN_ALERT, self._act(desk, alert.kind), asked)
        except RuleError as error:
            zh, en = error_halves(error.message, error.reason)
            self.tell(desk, f"不予办理：{zh} | refused: {en}")
            return str(error.facts.get("why", error.reason))
        raise NotFoundError("DEMO_ALLOWED", f"expected a refusal of {name} by {desk}")

    async def calls(self, desk: str, rpc: Rpc[Q, A], question: Q, *, officer: str = "") -> A:
        """Asks for a desk as one on duty there."""
        return await self.stage.call(str(self.office(desk)), rpc, self._on_duty(desk, officer), question)

    async def board(self, desk: str, *, status: Status = Status.ACTUAL) -> tuple[AlertLine, ...]:
        """The open alerts that a desk has on its board."""
        query = AlertQuery(status=status, open_only=True, desk=desk)
        return (await self.calls(desk, alerts.LIST_ALERTS, query)).lines

    async def seen(self, desk: str, alert: AlertLine, fits: Callable[[AlertLine], bool] = lambda _: True) -> AlertLine:
        """Waits until a desk reads an alert at its own node, as it is to stand."""

        async def look() -> AlertLine | None:
            try:
                line = (await self.calls(desk, alerts.READ_ALERT, alert.record)).line
            except UnavailableError:  # its node is on its way back
                return None
            return line if line is not None and fits(line) else None

        return await self.stage.wait_for(look, what=f"{alert.cap_id} at {desk}")

    @asynccontextmanager
    async def watching(self, desk: str, topic: str) -> AsyncIterator[asyncio.Queue[tuple[datetime, AlertLine]]]:
        """Follows a topic at the node of a desk: each alert as it comes, with the moment at which it came."""
        found, alive = asyncio.Queue[tuple[datetime, AlertLine]](), asyncio.Event()
        act, office = self._on_duty(desk), str(self.office(desk))
        await self.stage.enrol(act.officer, agency=office)

        async def follow() -> None:
            stream = self.stage.client(office).watch(alerts.WATCH_ALERTS, act, AlertWatch(topic=topic))
            async with aclosing(stream):
                async for news in stream:
                    if news.line is None:
                        alive.set()
                    else:
                        found.put_nowait((datetime.now(UTC), news.line))

        reader = asyncio.create_task(follow())
        try:
            await asyncio.wait_for(alive.wait(), PATIENCE_SECONDS)
            yield found
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def tell(self, desk: str, text: str) -> None:
        self.stage.tell(text, lead=f"{datetime.now(CHINA):%H:%M:%S}  {padded(desk_name(desk), 18)}")

    def clocks(self, alert: AlertLine) -> None:
        """Tells the 1-3-10 of an alert: who reached each stage, how long after T0."""
        for each in alert.stages:
            if each.at is not None:
                (zh, en), late = (
                    word_halves("AlertState", each.stage),
                    ("超时", "late") if each.late else ("按时", "in time"),
                )
                limit = (each.due - alert.raised) // timedelta(minutes=1)
                took = (each.at - alert.raised).total_seconds()
                text = f"{zh}：{took:.1f} 秒，限 {limit} 分钟，{late[0]} | {en}: {took:.1f} s of {limit} min, {late[1]}"
                self.stage.tell(text, lead=f"  {padded(desk_name(each.desk), 18)}")

    def _act(self, desk: str, kind: str) -> Act:
        purpose, function = self.rules.why(kind)
        officer = f"{desk.partition('.')[2]}-1"
        return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer=officer)

    def _on_duty(self, desk: str, officer: str = "") -> Act:
        function = DUTY_FUNCTIONS[self.office(desk).kind]
        officer = officer or f"{desk.partition('.')[2]}-1"
        return Act(request_id=str(uuid.uuid4()), purpose=DUTY_PURPOSE, function=function, officer=officer)


async def border_day(stage: Stage) -> dict[str, JsonOut]:
    """The alerts of the day, from the fire to the file, but for the report: what came of each scene."""
    fire = await fire_on_the_ridge(stage)
    alert, cut = await part_and_heal(stage)
    shift = await change_shift(stage, alert)
    return {"fire": fire, "cut": cut, "shift": shift, "file": await carry_file(stage, str(fire["record"]))}


# ---- a fire on the ridge, and an exercise in the same minute


async def fire_on_the_ridge(stage: Stage) -> dict[str, JsonOut]:
    """Changshan hears of a fire first, claims it and hands it over the line; Yushan practises the same beside it."""
    stage.title(
        "山脊火情：先接后移，演练同时进行 | A fire on the ridge, handed over the line; an exercise beside it",
        "火不认省界：先听到的先去，邻县同时看见"
        " | A fire knows no border: who hears of it goes, and the neighbours see it in the same moment",
    )
    desks = Desks(stage=stage)
    async with desks.watching(YUSHAN_FIRE, f"desk:{YUSHAN_FIRE}") as screen:
        fire, drill = await asyncio.gather(_sees_smoke(desks), _practises(desks))
        came, seen = await asyncio.wait_for(screen.get(), PATIENCE_SECONDS)
        after = (came - fire.raised) / timedelta(milliseconds=1)
        desks.tell(YUSHAN_FIRE, f"{after:.0f} 毫秒后屏上见邻县火情 | on the neighbour's screen after {after:.0f} ms")
        refused = await desks.refused(YUSHAN_FIRE, drill, "link", other=fire.record, status=fire.status.value)
        fire, drill = await asyncio.gather(_fights(desks, fire), _plays(desks, drill))
        shown = {seen.record, *(screen.get_nowait()[1].record for _ in range(screen.qsize()))}
    if shown != {fire.record}:
        raise NotFoundError("DEMO_MIXED", "expected the fire alone on the screen of real alerts")
    desks.clocks(fire)
    stage.tell("演练只在演练清单里，不计入统计 | the exercise is in the exercises' list alone, and in no figure")
    return {
        "record": fire.record,
        "made": [each.stage.value for each in fire.stages if each.at is not None and not each.late],
        "by": [each.desk for each in fire.stages],
        "refused": refused,
        "shown": len(shown),
        "measured": [fire.measured, drill.measured],
    }


async def _sees_smoke(desks: Desks) -> AlertLine:
    facts = CaseItem(kind="fact", fields={"text": "山脊防火线以南见明火，风向偏北"})
    known = CaseItem(kind="detail", fields={"wind": "南风三级", "crews": "两支半专业队"})
    return await desks.raises(CHANGSHAN_FIRE, FIRE, RIDGE, facts, known, said="山脊明火 | open fire on the ridge")


async def _practises(desks: Desks) -> AlertLine:
    facts = CaseItem(kind="fact", fields={"text": "假定山脊起火，检验联防响应"})
    said = "假定火情 | an assumed fire"
    return await desks.raises(YUSHAN_FIRE, FIRE, RIDGE, facts, said=said, drill=True)


async def _fights(desks: Desks, fire: AlertLine) -> AlertLine:
    """First come, first to act: Changshan accepts and contacts, Yushan takes over, arrives and closes."""
    await desks.does(CHANGSHAN_FIRE, fire, "claim", said="先接 | whoever hears first acts")
    await desks.does(CHANGSHAN_FIRE, fire, "stamp", stage="contacted", said="已联系护林员 | the ranger answers")
    await desks.does(CHANGSHAN_FIRE, fire, "hand_over", to=YUSHAN_FIRE, said="火线在玉山一侧 | it burns on their side")
    await desks.seen(YUSHAN_FIRE, fire, lambda line: line.offer_to == YUSHAN_FIRE)
    await desks.does(YUSHAN_FIRE, fire, "accept_hand_over", said="后移 | the place decides who leads")
    await desks.does(
        YUSHAN_FIRE, fire, "stamp", stage="arrived", unit="玉山县森林消防队", said="已到场 | the crew is there"
    )
    await desks.does(YUSHAN_FIRE, fire, "close", result="handled", said="明火扑灭 | the fire is out")
    return await desks.seen(CHANGSHAN_FIRE, fire, lambda line: line.state is AlertState.CLOSED)


async def _plays(desks: Desks, drill: AlertLine) -> AlertLine:
    await desks.does(YUSHAN_FIRE, drill, "claim", said="演练 | exercise")
    (alone,) = await desks.board(YUSHAN_FIRE, status=Status.EXERCISE)
    if alone.record != drill.record or drill.record in {line.record for line in await desks.board(YUSHAN_FIRE)}:
        raise NotFoundError("DEMO_MIXED", "expected the exercise in the exercises' list alone")
    return await desks.does(YUSHAN_FIRE, drill, "cancel", why="lifted", said="演练结束 | the exercise is over")


# ---- the two nodes do not reach each other, and both desks claim


async def part_and_heal(stage: Stage) -> tuple[AlertLine, dict[str, JsonOut]]:
    """Both desks claim an accident while neither node reaches the other: one leads afterwards, the other one helps."""
    stage.title(
        "断联：两边各自签收，恢复后一席牵头 | The line is cut: both desks claim; healed, one leads, one helps",
        "线路断了照样有人到场，恢复后不重不漏"
        " | Somebody comes though the line is cut, and nothing is doubled or lost when it is back",
    )
    desks = Desks(stage=stage)
    text = CaseItem(kind="fact", fields={"text": "省界公路两车相撞，一人受伤"})
    said = "省界公路两车相撞 | two cars collide on the line"
    alert = await desks.raises(YUSHAN, CRASH, PAIR, text, said=said)
    await desks.seen(CHANGSHAN, alert)
    _cut(desks, ZHEJIANG, "玉山照常|Yushan goes on")
    await desks.does(YUSHAN, alert, "claim")
    await desks.does(YUSHAN, alert, "stamp", stage="contacted")
    _cut(desks, JIANGXI, "玉山所做未达常山|what Yushan did has not reached Changshan")
    await _back(desks, ZHEJIANG)
    await desks.seen(CHANGSHAN, alert, lambda line: line.state is AlertState.OPEN)
    claimed = await desks.does(CHANGSHAN, alert, "claim")
    if not claimed.local:
        raise NotFoundError("DEMO_LOCAL", "expected a claim by the own node's word alone")
    desks.tell(CHANGSHAN, "离线签收，恢复后同步确认 | held by the own node's word until the others confirm it")
    async with desks.watching(LEADER, f"desk:{LEADER}") as screen:
        await _back(desks, JIANGXI)
        while (line := (await asyncio.wait_for(screen.get(), PATIENCE_SECONDS))[1]).helpers == ():
            pass
    holder, (helps,) = line.holder, line.helpers
    (one_zh, one_en), (other_zh, other_en) = desk_halves(holder), desk_halves(helps)
    desks.tell(LEADER, f"获告：{one_zh}牵头，{other_zh}协助 | is told: {one_en} leads, {other_en} helps")
    agreed = [await desks.seen(desk, alert, lambda found: bool(found.helpers)) for desk in (YUSHAN, CHANGSHAN)]
    if {(each.holder, each.helpers) for each in agreed} != {(holder, (helps,))}:
        raise NotFoundError("DEMO_TORN", "expected one holder, and the same, at both nodes")
    return agreed[1], {"local": claimed.local, "holds": holder, "helps": helps}


def _cut(desks: Desks, node: NodeName, said: str) -> None:
    pid = kill_node(desks.stage.federation, node)
    (zh, _), (then_zh, then_en) = word_halves("NodeName", node), said.split("|")
    _tell_of_node(desks, f"{zh}断电（进程 {pid} 被杀）：{then_zh} | SIGKILL to {node} (process {pid}): {then_en}")


def _tell_of_node(desks: Desks, text: str) -> None:
    desks.stage.tell(text, lead=f"{datetime.now(CHINA):%H:%M:%S}")


async def _back(desks: Desks, node: NodeName) -> None:
    federation = desks.stage.federation
    start_node(federation, node)
    await asyncio.to_thread(wait_ready, federation, [node])
    write_federation_file(federation)
    (zh, _), pid = word_halves("NodeName", node), federation.processes[node].pid
    _tell_of_node(desks, f"{zh}恢复（进程 {pid}） | {node} is back (process {pid})")


# ---- a shift ends while an alert is open


async def change_shift(stage: Stage, alert: AlertLine) -> dict[str, JsonOut]:
    """The day's officer hands the desk to the night's with what is open; both sign; then the alert is closed."""
    stage.title(
        "交接班：未结警情由两人签名移交 | The shift changes: what is open is handed over, signed by both",
        "换班时没有一起警情没人管 | At no change of the shift is an alert without somebody",
    )
    desks = Desks(stage=stage)
    for officer in (DAY, NIGHT):
        await desks.calls(CHANGSHAN, duty.SIGN_ON, duty.SigningOn(desk=CHANGSHAN), officer=officer)
        desks.tell(CHANGSHAN, f"{officer} 签到 | {officer} signs on")
    plan = duty.HandOverPlan(desk=CHANGSHAN, incoming=NIGHT, promises=("明早回访伤者",))
    entry = await _signs(desks, plan, DAY, "交班|offers")
    await _signs(desks, duty.HandOverPlan(desk=CHANGSHAN, incoming=""), NIGHT, "接班|takes over")
    for open_alert in entry.alerts:
        zh, en = desk_halves(open_alert.holder)
        stage.tell(f"未结，{zh}牵头 | open, led by {en}", lead=f"  {open_alert.cap_id}")
    page = await desks.calls(CHANGSHAN, duty.READ_ROSTER, duty.RosterQuery(desk=CHANGSHAN), officer=NIGHT)
    charge = page.standing.charge if page.standing is not None else ""
    leaf = page.lines[0].leaf
    text = f"值守簿：{charge} 当班，存证第 {leaf} 条 | duty book: {charge} is in charge, leaf {leaf}"
    desks.tell(CHANGSHAN, text)
    if [each.record for each in entry.alerts] != [alert.record] or charge != NIGHT:
        raise NotFoundError("DEMO_SHIFT", "expected one open alert, and the night's officer in charge")
    holder = alert.holder
    await desks.does(holder, alert, "stamp", stage="arrived", said="已到现场 | at the place")
    closed = await desks.does(holder, alert, "close", result="handled", said="路已通行 | the road is open")
    await desks.seen(CHANGSHAN, alert, lambda line: line.state is AlertState.CLOSED)
    desks.clocks(closed)
    return {"open": len(entry.alerts), "charge": charge, "state": closed.state.value}


async def _signs(desks: Desks, plan: duty.HandOverPlan, officer: str, said: str) -> HandOver:
    """One of the two reads what is to be handed over and signs it with their own key."""
    paper = await desks.calls(CHANGSHAN, duty.DRAFT_HAND_OVER, plan, officer=officer)
    entry = paper.hand_over
    if entry is None:
        raise NotFoundError("DEMO_REFUSED", f"expected a hand-over: {paper.decision.title_en}")
    key = desks.stage.key(officer, agency=str(desks.office(CHANGSHAN)))
    signature = format_base64(key.sign(hand_over_bytes(entry)))
    signing = duty.HandOverSigning(hand_over=entry, signature=signature)
    outcome = await desks.calls(CHANGSHAN, duty.SIGN_HAND_OVER, signing, officer=officer)
    if outcome.line is None:
        raise NotFoundError("DEMO_REFUSED", f"expected a signature: {outcome.decision.title_en}")
    (zh, en), is_open, promised = said.split("|"), len(entry.alerts), len(entry.promises)
    desks.tell(
        CHANGSHAN,
        f"{officer} {zh}：{is_open} 起未结，{promised} 项交代 | {officer} {en}: {is_open} open, {promised} promised",
    )
    return entry


# ---- an alert as a file, and the figures of the day


async def carry_file(stage: Stage, record: str) -> dict[str, JsonOut]:
    """The fire leaves Changshan as a CAP file; a desk that was not told of it reads it, and raises it as a test."""
    stage.title(
        "通用警情报文：导出、读入，核实后才首报 | A CAP file: exported, read, raised by an officer alone",
        "别的系统的警情也读得进来，但要有人核实才算数"
        " | Another system's alert can be read, and counts only when an officer has checked it",
    )
    desks = Desks(stage=stage)
    file = (await desks.calls(CHANGSHAN_FIRE, alerts.EXPORT_ALERT, AlertExport(alert=record))).content
    size, digest = len(file), sha256(file).hexdigest()[:16]
    text = f"导出 CAP 1.2 报文，{size} 字节，摘要 {digest} | exports CAP 1.2, {size} bytes, digest {digest}"
    desks.tell(CHANGSHAN_FIRE, text)
    upload = CapUpload(content=file, desk=PUCHENG_FIRE)
    found = await desks.calls(PUCHENG_FIRE, alerts.IMPORT_CAP, upload)
    warned = [fault.field for fault in found.faults]
    kind = desks.rules.table.kinds[found.fields["kind"]]
    text = f"读入：{kind.zh}，{len(warned)} 项提示 | reads it: {kind.en}, {len(warned)} warnings"
    desks.tell(PUCHENG_FIRE, text)
    if not found.id or await desks.board(PUCHENG_FIRE):
        raise NotFoundError("DEMO_FILE", "expected a proposal, and no alert by itself")
    desks.tell(PUCHENG_FIRE, "未首报前清单为空 | nothing is on its board before an officer raises it")
    fields = {**found.fields, "manifest": found.id, "status": Status.TEST.value}
    del fields["kind"]
    said = "【测试】照报文 | [test] as the file says"
    test = await desks.raises(PUCHENG_FIRE, FIRE, fields, *found.items, said=said)
    await desks.does(PUCHENG_FIRE, test, "cancel", why="lifted", said="【测试】读通 | [test] it was read")
    return {"bytes": len(file), "kind": found.fields["kind"], "status": test.status.value}


async def count_day(stage: Stage) -> dict[str, JsonOut]:
    """Both counties' nodes count the day, each figure with its entries; the two reports agree."""
    stage.title(
        "当日报告：每个数都附所计记录 | The day's report: every figure with the entries that it counts",
        "报表上的每个数都查得到出处，两省算出来一样"
        " | Each figure can be traced to its entries, and both provinces find the same",
    )
    desks = Desks(stage=stage)
    asked = ReportQuery(kind=ReportKind.PAIR, counties=(CHANGSHAN[:6], YUSHAN[:6]), leaves=True)
    report = decode(Report, read_report(await _reported(desks, CHANGSHAN, asked))[1])
    meanings = {each.id: each for each in report.meanings}
    counted = [each for each in report.figures if each.leaves]
    rows = [
        (
            f"{group_name(report, each.group)}  {pair(meanings[each.id].zh, meanings[each.id].en)}",
            value_text(each, meanings[each.id]),
            " ".join(leaf.name[:8] for leaf in each.leaves),
        )
        for each in counted
    ]
    stage.tell(*align(rows))
    handed = replace(asked, leaves=False, handed_over=True)
    one, other = [await _opened(desks, desk, handed) for desk in (CHANGSHAN, YUSHAN)]
    names = difference_names(unite_reports(one, other).differences)
    stage.tell(f"与江西节点合并核对，相差 {len(names)} 条 | united with Jiangxi's: {len(names)} entries differ")
    return {"figures": [figure.id for figure in counted], "differ": list(names)}


async def _reported(desks: Desks, desk: str, asked: ReportQuery) -> bytes:
    act = Act(request_id=str(uuid.uuid4()), purpose=REPORT_PURPOSE, function=REPORT_FUNCTION, officer="governance-1")
    answer = await desks.stage.call(str(desks.office(desk)), READ_REPORT, act, asked)
    if not answer.signed:
        raise NotFoundError("DEMO_REFUSED", f"expected a report: {answer.decision.title_en}")
    return answer.signed


async def _opened(desks: Desks, desk: str, asked: ReportQuery) -> Report:
    """A report that a node signed, verified by the keys of the agreement."""
    signed, node = await _reported(desks, desk, asked), desks.office(desk).node
    return open_report(signed, {node: message_keys_at(desks.agreement, node, datetime.now(UTC))})
