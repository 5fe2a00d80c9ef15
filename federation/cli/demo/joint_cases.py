"""The joint cases of the demo: wages that a worker of Yushan is owed in Changshan, and a licence renewed there.

Every line is an act of one office, written at its own node and receipted by the other province's before the next.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from federation.cli.demo.stage import CHANGSHAN, Stage, padded
from federation.cli.show import JsonOut, china_today, local_day, mask_number, of_item
from federation.cli.words import cells, halves, short
from federation.domain.case_items import CaseItem
from federation.domain.permits import PermitApplication
from federation.protocol.errors import NotFoundError, UnavailableError
from federation.wire.agency import cases
from federation.wire.agency.cases import CaseOffer, CaseOpening, CaseStep, CaseView, EntryLine, EntryQuery
from federation.wire.rpc import Act

YUSHAN: Final = "361123"
WAGE_OFFICES: Final[Mapping[str, str]] = {
    "centre": "jiangxi/361123/governance",
    "body": "jiangxi/361123/mediation-body",
    "labour": "zhejiang/330822/labour",
    "peer": "zhejiang/330822/governance",
    "court": "zhejiang/330822/court",
}
WAGE_ROLES: Final = {"body": "body", "labour": "labour_peer", "peer": "peer", "court": "court"}
VEHICLE_OFFICES: Final[Mapping[str, str]] = {
    "hall": "zhejiang/330822/service-hall",
    "office": "zhejiang/330822/police",
    "home": "jiangxi/361123/police",
}
VEHICLE_ROLES: Final = {"office": "office", "home": "home"}
OWED: Final = 1_250_000
FIRM, FIRM_USCC = "常山县示例建设有限公司", "91330822DEM000001Y"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(kw_only=True)
class Desk:
    """One case and the offices that work it, by short words."""

    stage: Stage
    offices: Mapping[str, str]
    purpose: str
    function: str
    code: str = ""
    entries: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {word: self.stage.office(office) for word, office in self.offices.items()}

    async def open(self, word: str, procedure: str, *, role: str, division: str, said: str, **fields: str) -> None:
        asked = CaseOpening(procedure=procedure, role=role, division=division, fields=fields)
        outcome = await self.stage.call(self.offices[word], cases.OPEN_CASE, self._act(word), asked)
        if outcome.line is None:
            raise NotFoundError("DEMO_REFUSED", f"expected an open case: {outcome.decision.title_en}")
        self.code = outcome.line.code
        zh, en = said.split(" | ")
        self._tell(word, "立案|open the case", f"{zh}；一案一码 {self.code} | {en}; code {self.code}")

    async def invite(self, word: str, roles: Mapping[str, str]) -> None:
        """Invites every office, which joins as soon as its own node has heard of the case."""
        for invited, role in roles.items():
            await self._does(word, "invite", agency=self.offices[invited], role=role)
            await self._does(invited, "join")
        joined = [self.names[each].split("|") for each in roles]
        zh, en = "、".join(each for each, _ in joined), ", ".join(each for _, each in joined)
        self._tell(word, "邀请参与|invite", f"均已同意：{zh} | all joined: {en}")

    async def does(
        self, word: str, name: str, *items: CaseItem, said: str = "", officer: str = "", **fields: str
    ) -> EntryLine:
        """An office does one act, which has effect and is told in a line (DEMO_REFUSED)."""
        entry = await self._does(word, name, *items, officer=officer, **fields)
        self._tell(word, f"{entry.act_zh}|{entry.act_en}", said)
        return entry

    async def goes(self, word: str, to: str) -> None:
        """The case goes on to a stage, whose title is told with what is due there."""
        await self._does(word, "move", to=to)
        view = await self.view(word)
        if view.line is None:
            raise NotFoundError("DEMO_REFUSED", f"expected the case {self.code}")
        self.stage.tell(f"{view.line.stage_zh} | {view.line.stage_en}", lead="——")
        await self.clock(word)

    async def clock(self, word: str) -> None:
        """Tells the last day of the clock that started last, with its law."""
        clocks = [clock for clock in (await self.view(word)).clocks if clock.due is not None]
        newest = max(clocks, key=lambda clock: clock.started, default=None)
        if newest is not None and newest.due is not None:
            last = local_day(newest.due - timedelta(seconds=1))
            self.stage.tell(f"期限至 {last}（{newest.source}） | until {last}", lead="  ")

    async def waits(self, word: str, name: str, to: str = "") -> tuple[str, ...]:
        """Tells what is missing for an act that an office cannot do yet; returns the names of what is missing."""

        async def missing() -> CaseOffer | None:
            offers = (await self.view(word)).offers
            return next((each for each in offers if (each.act, each.to) == (name, to) and not each.possible), None)

        offer = await self.stage.wait_for(missing, what=f"that {name} waits")
        for lack in offer.missing:
            lacks = f"尚不能{offer.zh}，缺：{lack.zh} | not yet: {offer.en}, for want of: {lack.en}"
            self.stage.tell(lacks, lead="  ")
        return tuple(lack.name for lack in offer.missing)

    async def view(self, word: str) -> CaseView:
        return await self.stage.call(self.offices[word], cases.READ_CASE, self._act(word), self.code)

    async def seen(self, word: str, kind: str) -> tuple[str, ...]:
        """Tells which fields of the first item of a class an office sees; returns their names."""
        query = EntryQuery(case=self.code)
        page = await self.stage.call(self.offices[word], cases.LIST_ENTRIES, self._act(word), query)
        found = next(item for line in page.lines for item in line.items if item.kind == kind)
        zh, en = "、".join(of_item(kind, each)[0] for each in sorted(found.fields)), ", ".join(sorted(found.fields))
        hidden = (
            (f"，另 {found.closed} 项不对其开放", f", {found.closed} more closed to it") if found.closed else ("", "")
        )
        self.stage.tell(f"看到诉求的{zh}{hidden[0]} | sees of the {kind}: {en}{hidden[1]}", lead=self._lead(word))
        return tuple(sorted(found.fields))

    async def close(self, word: str, outcome: str, *, other: str) -> dict[str, JsonOut]:
        """Closes the case, and has an office of the other province say so by its own node."""
        await self._does(word, "close", outcome=outcome)

        async def ended() -> CaseView | None:
            view = await self.view(other)
            return view if view.line is not None and view.line.outcome else None

        view = await self.stage.wait_for(ended, what=f"the end of {self.code} in {self.offices[other]}")
        self._tell(word, "结案|close the case", f"{view.trace[-1].zh} | {view.trace[-1].en}")
        answer = await self.stage.call(self.offices[word], cases.TRACE_CASE, self._act(word), self.code)
        self.stage.tell(f"群众凭一案一码 {self.code} 查询进度： | what the code {self.code} tells at a counter:")
        for line in answer.lines:
            self.stage.tell(f"{line.zh} | {line.en}", lead=f"  {local_day(line.time)}")
        trace: list[JsonOut] = [line.zh for line in answer.lines]
        return {"outcome": outcome, "entries": self.entries, "notices": len(view.notices), "trace": trace}

    async def _does(self, word: str, name: str, *items: CaseItem, officer: str = "", **fields: str) -> EntryLine:
        plain = {key.rstrip("_"): value for key, value in fields.items()}
        asked, act = CaseStep(case=self.code, name=name, fields=plain, items=items), self._act(word, officer)

        async def done() -> EntryLine | None:
            try:
                outcome = await self.stage.call(self.offices[word], cases.ACT_IN_CASE, act, asked)
            except UnavailableError:  # another entry came at the same moment
                return None
            return outcome.entry

        entry = await self.stage.wait_for(done, what=f"{name} by {self.offices[word]}")
        if entry.without_effect:
            raise NotFoundError("DEMO_REFUSED", f"{name}: {entry.without_effect} {', '.join(entry.missing)}")
        self.entries += 1
        return entry

    def _act(self, word: str, officer: str = "") -> Act:
        request_id = str(uuid.uuid4())
        officer = officer or f"{word}-1"
        return Act(request_id=request_id, purpose=self.purpose, function=self.function, officer=officer)

    def _lead(self, word: str) -> str:
        return padded(short(self.names[word]), max(cells(short(each)) for each in self.names.values()))

    def _tell(self, word: str, act: str, said: str) -> None:
        """An act, and what is said of it: a pair, or data that is the same in any language."""
        (zh, en), (of_zh, of_en) = act.split("|"), halves(said) or (said, said)
        text = f"{zh}：{of_zh} | {en}: {of_en}" if said else f"{zh} | {en}"
        self.stage.tell(text, lead=self._lead(word))


async def claim_wages(stage: Stage) -> dict[str, JsonOut]:
    """Intake, ledger check, route, mediation, agreement, judicial confirmation, performance, archive."""
    stage.title(
        "跨省欠薪：玉山一处受理，常山核验、确认、支付 | Wages owed across the border: one case, five offices",
        "工人只跑一处，五个单位接力，一个码查到底"
        " | The worker goes to one counter, five offices do the rest, and one code tells how far they are",
    )
    desk = Desk(stage=stage, offices=WAGE_OFFICES, purpose="wage.claim", function="F11")
    worker = stage.find_person(stage.seed + 2, lambda each: each.holder.household_division == YUSHAN)
    seen = await _take_claim_in(desk, worker)
    missing = await _check_ledger_and_choose(desk)
    await _mediate(desk)
    await _confirm(desk)
    await _perform(desk)
    return {**await desk.close("centre", "paid_full", other="court"), "seen": seen, "missing": missing}


async def _take_claim_in(desk: Desk, worker: PermitApplication) -> dict[str, JsonOut]:
    today, number = china_today().isoformat(), worker.holder.citizen_number
    intake = "玉山籍工人来访，单位在常山 | a worker of Yushan, an employer of Changshan"
    await desk.open("centre", "wage-claim", role="centre", division=YUSHAN, said=intake, source="walk_in")
    await desk.invite("centre", WAGE_ROLES)
    await desk.does("centre", "register", tags="joint_mediate", kind="wage", division=CHANGSHAN, line="B")
    for tag, side, role, name, of in (
        ("p1", "A", "applicant", worker.holder.name, number),
        ("firm", "B", "respondent", FIRM, FIRM_USCC),
    ):
        county = YUSHAN if side == "A" else CHANGSHAN
        masked = mask_number(of) if side == "A" else of
        known = {"side": side, "name": name, "number": of, "last4": of[-4:], "county": county}
        item = CaseItem(kind="party", fields=known)
        await desk.does(
            "centre", "add_party", item, said=f"{name} {masked}", party=tag, side=side, role=role, county=county
        )
    claimed = {"kind": "wage", "amount": str(OWED), "basis": "工资结算单", "period": "2026-07 至 2026-09"}
    item = CaseItem(kind="claim", fields=claimed)
    said = f"工资 {OWED / 100:,.2f} 元 | wages of {OWED / 100:,.2f} yuan"
    entry = {"claim": "c1", "party": "p1", "kind": "wage", "sum": str(OWED), "first_asked": today}
    await desk.does("centre", "add_claim", item, said=said, **entry)
    seen: dict[str, JsonOut] = {word: list(await desk.seen(word, "claim")) for word in ("labour", "peer")}
    await desk.waits("centre", "move", "ledger_check")
    await desk.does("centre", "check_duplicates", said="四省无同案 | no such case in any of the four", hits="0")
    return seen


async def _check_ledger_and_choose(desk: Desk) -> list[JsonOut]:
    await desk.goes("centre", "ledger_check")
    await desk.does("centre", "ask_ledger", agency=desk.offices["labour"])
    await desk.clock("centre")
    missing = await desk.waits("centre", "move", "route")
    await desk.does("labour", "verify_claim", said="台账与诉求一致 | the ledger agrees", claim="c1", sum=str(OWED))
    await desk.does(
        "labour", "name_payer", said=f"{FIRM}（用工单位） | {FIRM} (the employer)", payer="firm", basis="employer"
    )
    await desk.goes("centre", "route")
    await desk.does("centre", "advise_routes", routes="mediation,payment_order,arbitration")
    await desk.does("centre", "choose_route", said="本人选择调解 | mediation", route="mediation", on_behalf="p1")
    return list(missing)


async def _mediate(desk: Desk) -> None:
    await desk.goes("centre", "mediation")
    text, due = digest("调解协议"), china_today() + timedelta(days=20)
    mediator = f"{desk.offices['body']}#body-1"
    proposed = await desk.does("body", "propose_mediators", who=mediator)
    for word in ("body", "peer"):
        await desk.does(word, "sign_recusal_check", said="无须回避 | no tie", about=proposed.name, result="clear")
    await desk.does("body", "hear", said="视频听取双方 | both, by video", parties="p1,firm", form="online")
    await desk.does("body", "draft", agreement=text, form="written", payments_only="yes")
    said = f"{OWED / 100:,.2f} 元，{due}前付清 | {OWED / 100:,.2f} yuan, to be paid by {due}"
    owed = {"obligation": "o1", "party": "firm", "what": "payment", "due": due.isoformat(), "sum": str(OWED)}
    await desk.does("body", "add_obligation", said=said, agreement=text, **owed)
    for word, tag in (("centre", "p1"), ("peer", "firm")):
        said = "工人签字 | the worker" if tag == "p1" else "单位签字 | the employer"
        await desk.does(word, "sign", said=said, agreement=text, as_="party", on_behalf=tag)
    await desk.does("body", "sign", said="调解员签字 | the mediator", agreement=text, as_="mediator")
    await desk.does("body", "sign", said="调解委员会盖章 | the committee's seal", agreement=text, as_="body")


async def _confirm(desk: Desk) -> None:
    court = desk.offices["court"]
    await desk.does("body", "name_court", said=desk.names["court"], court=court)
    await desk.goes("centre", "confirmation")
    await desk.does("centre", "apply_confirmation", said="工人申请 | the worker", court=court, on_behalf="p1")
    await desk.waits("court", "decide_confirmation")
    await desk.does(
        "peer", "apply_confirmation", said="单位共同申请 | the employer, too", court=court, on_behalf="firm"
    )
    number, today = "（2126）浙0822诉前调确1号", china_today().isoformat()
    await desk.does("court", "accept_application", said=number, number=number, filed=today)
    decided = CaseItem(kind="decision", fields={"kind": "confirmation", "number": number, "result": "协议有效"})
    said = "协议有效，可以强制执行 | the agreement is valid and enforceable"
    await desk.does("court", "decide_confirmation", decided, said=said, result="confirmed", number=number)


async def _perform(desk: Desk) -> None:
    await desk.goes("centre", "performance")
    today = china_today()
    said = f"{OWED / 100:,.2f} 元 | {OWED / 100:,.2f} yuan"
    await desk.does("labour", "record_payment", said=said, obligation="o1", sum=str(OWED), day=today.isoformat())
    await desk.does("labour", "record_performance", obligation="o1", day=today.isoformat())
    await desk.goes("centre", "archive")
    await desk.does("centre", "record_visit", said="满意，未再欠薪 | satisfied", satisfied="yes", relapse="no")
    await desk.does("centre", "archive", manifest=digest("卷宗"), whole="yes")
    last = (today + timedelta(days=3 * 365)).isoformat()
    await desk.does("centre", "set_retention", said=f"至 {last} | until {last}", rule="case.wage", destroy_by=last)


async def renew_licence(stage: Stage) -> dict[str, JsonOut]:
    """A licence of Jiangxi renewed at a counter in Changshan: checked, accepted, issued, the old one taken."""
    stage.title(
        "驾驶证跨省换证：常山窗口当场办 | A licence of Jiangxi renewed at a counter in Changshan",
        "在外工作的驾驶人不必为换证回一趟老家 | A driver who works away need not go home for it",
    )
    desk = Desk(stage=stage, offices=VEHICLE_OFFICES, purpose="vehicle.service", function="F07")
    said = "江西籍驾驶人来窗口 | a driver of Jiangxi"
    await desk.open("hall", "vehicle-business", role="counter", division=CHANGSHAN, said=said)
    await desk.invite("hall", VEHICLE_ROLES)
    driver = stage.find_person(stage.seed + 3, lambda each: each.holder.household_division == YUSHAN).holder
    item = CaseItem(kind="applicant", fields={"name": driver.name, "number": driver.citizen_number})
    taken = {"type": "renew", "papers": "application,identity", "at": "other", "applicant": "peer", "permit": "yes"}
    await desk.does("hall", "take_papers", item, said=f"期满换证，{driver.name} | renewal, {driver.name}", **taken)
    await desk.goes("hall", "prechecked")
    asked = await desk.does("hall", "ask_precheck", question="may_do")
    said = "可以办理 | it may be done"
    await desk.does("home", "answer_precheck", said=said, about=asked.name, result="clear")
    await desk.goes("hall", "accepted")
    await desk.does("hall", "accept")
    await desk.goes("hall", "issued")
    await desk.does("office", "issue", said="新证 | the new licence", paper_kind="licence", number=digest("新证"))
    await desk.does("hall", "hand_out", paper_kind="licence")
    await desk.waits("hall", "close", "issued")
    await desk.does("hall", "take_old", paper_kind="licence")
    return await desk.close("hall", "issued", other="home")
