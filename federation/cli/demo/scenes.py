"""The scenes of the demo, each under its title; what one returns stands in the summary."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final

from federation.cli.demo.provinces import kill_node, repository_folder, start_node, wait_ready, write_federation_file
from federation.cli.demo.stage import (
    ASKED,
    CHANGSHAN,
    OFFICER,
    PATIENCE_SECONDS,
    POLICE,
    Stage,
    lookup_act,
    named,
    new_key,
    node_name,
    permit_act,
)
from federation.cli.demo.synthetic import synthetic_applications
from federation.cli.intake import inbox_lines
from federation.cli.registers import ENTERPRISES, VEHICLES, Fact, Register
from federation.cli.reports import report_lines
from federation.cli.row_files import read_rows
from federation.cli.show import JsonOut, china_today, local_minute, mask, progress
from federation.cli.words import LABELS, said, short, word_halves
from federation.domain.division import province_of
from federation.domain.intake import REASON_WORDS, RefusalReason
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.lookups_case import SUBJECT_FUNCTION, SUBJECT_PURPOSE, LookupPurpose
from federation.domain.oversight import Finding, review_bytes
from federation.domain.permits import PERMIT_FIELDS, PermitItem, PermitUrn
from federation.domain.permits_policy import PermitPurpose
from federation.domain.recognition import RecognitionMode
from federation.domain.registers import REGISTER_FUNCTION, REGISTER_PURPOSE
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, UnavailableError
from federation.protocol.ids import AgencyId, NodeName, format_base64, parse_agency_id
from federation.wire.agency import intake, lookups, oversight, permits
from federation.wire.agency.lookups import FetchResult, ProvinceAnswer
from federation.wire.agency.permits import ImportChunk, PermitImport, PermitRecognition
from federation.wire.agency.registers import StoredVersion
from federation.wire.agency.reports import GET_REPORT, ReportQuestion
from federation.wire.rpc import Act, PageQuery

CHANGSHAN_HALL: Final = "zhejiang/330822/service-hall"
YUSHAN_HALL: Final = "jiangxi/361123/service-hall"
PUCHENG_HALL: Final = "fujian/350722/service-hall"
LEADER: Final = "yushan-leader"


# ---- a permit


async def register(stage: Stage) -> PermitUrn:
    """Registers one permit of a Yushan resident in Changshan, the programme's main flow, and shows what arrives."""
    stage.title(
        "常山登记一张居住证，玉山收到 | A permit registered in Changshan arrives in Yushan",
        "在常山生活的玉山人，家乡随时能查，不必回乡开证明"
        " | Home can see the card of somebody who lives over the border: no paper is carried",
    )
    person = stage.find_person(
        stage.seed, lambda each: each.residence_division == CHANGSHAN and each.holder.household_division == "361123"
    )
    began = time.monotonic()
    permit = await stage.register(CHANGSHAN_HALL, person)
    urn = permit.urn
    stage.tell(f"常山签发，户籍玉山：{urn} | Changshan issues, to a household of Yushan: {urn}")

    async def arrived() -> PermitItem | None:
        try:
            return (await stage.call(POLICE, permits.GET_PERMIT, permit_act(PermitPurpose.CHECK), urn)).permit
        except NotFoundError:
            return None

    seen = await stage.wait_for(arrived, what=f"{urn} in Yushan", pause=0.005)
    millis = (time.monotonic() - began) * 1000
    held = {name for name in PERMIT_FIELDS if getattr(permit, name) is not None}
    shown = {name for name in PERMIT_FIELDS if getattr(seen, name) is not None}
    (seen_zh, seen_en), (kept_zh, kept_en) = named(shown), named(held - shown)
    stage.tell(
        f"{millis:.0f} 毫秒后到玉山：已签名，已按策略判定，已回执，两边均已存证"
        f" | it is in Yushan {millis:.0f} ms later: signed, policy-checked, receipted, logged on both sides",
        f"玉山警方可见 {len(held)} 项中的 {len(shown)} 项：{seen_zh}"
        f" | Yushan's police see {len(shown)} of its {len(held)} fields: {seen_en}",
        f"不向其提供：{kept_zh} | not released to them: {kept_en}",
    )
    return urn


async def recognise(stage: Stage, urn: PermitUrn) -> str:
    """Has Yushan's hall recognise the permit in both modes; returns the policies that refused an unrelated county."""
    stage.title(
        "玉山按证互认；浦城无关，被拒 | Yushan recognises it; Pucheng, unrelated, is refused",
        "持证人凭一张证两地办事；不相干的县看不到，也用不了"
        " | One card serves its holder in both counties, and a county that is not concerned has no use of it",
    )

    async def ask(hall: str, mode: RecognitionMode) -> permits.RecognitionAnswer:
        presented = PermitRecognition(urn=urn, mode=mode, citizen_number=stage.number)
        return await stage.call(hall, permits.RECOGNISE_PERMIT, permit_act(PermitPurpose.RECOGNITION), presented)

    for mode in RecognitionMode:
        answer = await ask(YUSHAN_HALL, mode)
        found = answer.recognition
        zh, en = word_halves("RecognitionMode", mode)
        outcome = [("拒绝", "refused")]
        if found is not None:
            outcome = [
                word_halves("RecognitionOutcome", found.outcome), word_halves("RecognitionReason", found.reason),
            ]  # fmt: skip
        said_zh, said_en = (
            "，".join(each for each, _ in outcome),
            ", ".join(each.replace("_", " ") for _, each in outcome),
        )
        policies = ", ".join(answer.decision.policies)
        stage.tell(f"玉山，{zh}：{said_zh}；依据 {policies} | Yushan, mode {en}: {said_en}; policy {policies}")
    decision = (await ask(PUCHENG_HALL, RecognitionMode.CARD)).decision
    refused_by = ", ".join(decision.policies)
    stage.tell(f"浦城：被拒，依据 {refused_by} | Pucheng: refused by {refused_by}")
    stage.tell(f"{decision.title_zh} | {decision.title_en}", lead="  ")
    for zh, en in zip(decision.explanation_zh.splitlines()[:3], decision.explanation_en.splitlines()[:3], strict=False):
        stage.tell(f"如何才合法：{zh} | what would make it lawful: {en}", lead="  ")
    return refused_by


# ---- a border police office asks across for the one fact of its case, and gets no more

CASE, OTHER_CASE = "YS-2026-0042", "YS-2026-0043"
LETTER, OTHER_LETTER = "玉公协〔2026〕42号", "玉公协〔2026〕43号"
KAIHUA, PUCHENG = "330824", "350722"
FIELDS: Final = frozenset({"holder_name", "status"})


async def look_up(stage: Stage) -> tuple[dict[str, str], list[str]]:
    """Asks all provinces for somebody whom Yushan does not know; returns the answers and the two fields released."""
    stage.title(
        "玉山警方跨省核查：先有案，再查有无，后取两项 | Yushan's police look up: a case, a hit, two fields",
        "民警当场问到办案所需的两项，其余一概不出省"
        " | An officer has the two facts of the case at once, and nothing more leaves the province",
    )
    person = stage.find_person(
        stage.seed + 1,
        lambda each: (
            each.work_division is None
            and each.residence_division == CHANGSHAN
            and province_of(each.holder.household_division) != parse_agency_id(POLICE).node
        ),
    )
    await stage.register(CHANGSHAN_HALL, person)
    household = person.holder.household_division
    stage.tell(
        f"常山给户籍 {household} 的人发证：与江西无关，不发送"
        f" | Changshan issues a permit to somebody of {household}: no business of Jiangxi's, nothing is sent"
    )
    own_key = await stage.enrol(OFFICER)
    stage.tell(
        f"玉山县公安局管理员登记民警 {OFFICER} 的本人密钥"
        f" | the administrator of Yushan's police registers the own key of officer {OFFICER}"
    )
    await stage.open_case(lookup_act(officer=LEADER), CASE, CHANGSHAN, PUCHENG, leader=LEADER, letter=LETTER)
    stage.tell(
        f"案件 {CASE}（{LETTER}）立案三十日，限玉山、常山、浦城"
        f" | case {CASE} is open, with its letter, for 30 days and for Yushan, Changshan and Pucheng"
    )
    everywhere = (NodeName("anhui"), NodeName("fujian"), ASKED)
    answers = (await stage.search(lookup_act(), CASE, provinces=everywhere)).answers
    for answer in answers:
        stage.tell(_words(answer), lead=node_name(answer.node))
        if answer.outcome is Outcome.REFUSED:
            stage.tell(f"{answer.title_zh} | {answer.title_en}", lead="  ")
    stage.handle = next((answer.handle for answer in answers if answer.handle is not None), "")
    if not stage.handle:
        raise NotFoundError("DEMO_NO_HIT", f"expected a hit in {ASKED}")
    result = await stage.fetch(lookup_act(), CASE, handle=stage.handle, fields=FIELDS, key=own_key)
    zh, en = _released(result.fields, "PermitStatus")
    until = local_minute(result.expires) if result.expires is not None else "-"
    stage.tell(
        f"民警以本人密钥签取两项，得到{zh}，可看至 {until}"
        f" | the officer's own key signs for two fields; released until {until}: {en}"
    )
    return {answer.node: answer.outcome.value for answer in answers}, sorted(result.fields)


async def refuse(stage: Stage) -> dict[str, str]:
    """Has the curious and the borrower of a certificate try: what refused each of them."""
    stage.title(
        "无案、越权、借用证书均被拒 | Curiosity and a borrowed certificate fail",
        "没有案由，谁也查不到别人；想查的人也留下记录"
        " | Without a case nobody finds anything about anybody, and who tried stands in the log",
    )
    (no_case,) = (await stage.search(lookup_act(), "YS-2026-9999")).answers
    refused = {"no_case": _refused(stage, "出于好奇，没有案件|curiosity has no case", no_case)}
    (other_purpose,) = (await stage.search(lookup_act(LookupPurpose.IDENTITY_CHECK), CASE)).answers
    who = "只想看看是谁，不是案件的用途|just to see who that is, not what the case is for"
    refused["other_purpose"] = _refused(stage, who, other_purpose)
    await stage.open_case(lookup_act(officer=LEADER), OTHER_CASE, KAIHUA, leader=LEADER, letter=OTHER_LETTER)
    (elsewhere,) = (await stage.search(lookup_act(), OTHER_CASE)).answers
    refused["other_county"] = elsewhere.outcome.value
    zh, en = word_halves("Outcome", elsewhere.outcome)
    stage.tell(
        f"限开化的案件，同一个人：{zh}；连常山认识此人也不透露"
        f" | a case for Kaihua, the same person: {en}; not even that Changshan knows them is told"
    )
    borrowed = await stage.fetch(lookup_act(), CASE, handle=stage.handle, fields=FIELDS, key=new_key())
    refused["other_key"] = _refused(stage, "单位的证书，别人的密钥|the office's certificate, another key", borrowed)
    return refused


async def close_cases(stage: Stage) -> dict[str, str]:
    """Closes the cases; the handle dies with its own: what refused it then."""
    stage.title(
        "结案：凭据即失效，暂缓告知的自动显示 | The case ends: its handle dies, what was held back appears",
        "案结即止：不能再查，本人从此看得到全部"
        " | With the case the right to look ends, and the person sees all that was held back",
    )
    for case_id in (OTHER_CASE, CASE):
        await stage.call(POLICE, lookups.CLOSE_CASE, lookup_act(officer=LEADER), case_id)
        stage.tell(_closed(case_id))
    answer = await stage.fetch(lookup_act(), CASE, handle=stage.handle, fields=FIELDS, key=stage.key(OFFICER))
    refused = _refused(stage, "同一凭据，本人密钥|the same handle, the right key", answer)
    await stage.call(INLAND, lookups.CLOSE_CASE, lookup_act(officer=INLAND_LEADER), INLAND_CASE)
    stage.tell(_closed(INLAND_CASE))
    return {"closed_case": refused}


def _refused(stage: Stage, who: str, answer: ProvinceAnswer | FetchResult) -> str:
    """Tells of a no by Yushan's own node, which logged it like a yes: the policies that said it."""
    if answer.outcome is not Outcome.REFUSED:
        raise NotFoundError("DEMO_ALLOWED", f"expected a refusal: {who}")
    (zh, en), policies = who.split("|"), ", ".join(answer.policies)
    stage.tell(f"{zh}：被拒，依据 {policies} | {en}: refused by {policies}")
    stage.tell(f"{answer.title_zh} | {answer.title_en}", lead="  ")
    return policies


def _closed(case_id: str) -> str:
    return f"案件 {case_id} 已结案 | case {case_id} is closed"


def _released(fields: Mapping[str, str], status: str) -> tuple[str, str]:
    """The fields that were released, masked, in Chinese and in English; `status` names the words of the status."""
    enums, shown = {"status": status, "plate_class": "PlateClass"}, list[tuple[str, str]]()
    for name, text in sorted(fields.items()):
        zh, en = word_halves(enums[name], text) if name in enums else ("", mask(name, text))
        shown.append((f"{LABELS[name]} {zh or en}", f"{name} {en}".replace("_", " ")))
    return "，".join(zh for zh, _ in shown), ", ".join(en for _, en in shown)


def _words(answer: ProvinceAnswer) -> str:
    if answer.outcome is Outcome.HIT:
        return "命中：只得一个凭据，没有任何字段 | hit: an opaque handle, no field"
    if answer.outcome is Outcome.REFUSED:
        policies = ", ".join(answer.policies)
        return f"被拒，依据 {policies} | refused by {policies}"
    return " | ".join(word_halves("Outcome", answer.outcome))


# ---- the registers of vehicles and enterprises

REGISTER_OFFICER: Final = "yushan-0902"
SEEDS: Final = {"zhejiang": "330822", "jiangxi": "361123", "fujian": "350722", "anhui": "341022"}
VEHICLE_FIELDS: Final = frozenset({"plate_class", "colour", "status", "keeper"})
ENTERPRISE_FIELDS: Final = frozenset({"name", "status", "legal_representative"})
NO_PLATE: Final = "浙H·I9999"


async def look_up_registers(stage: Stage) -> dict[str, JsonOut]:
    """Registers the seed files, then asks by plates and a USCC; returns how many are kept, the answers, the fields."""
    stage.title(
        "车辆与企业：号牌、信用代码各查一次 | Vehicles and enterprises: one look-up by plate, one by USCC",
        "过境的车、跨省的店，问一句答一句，不建大库"
        " | A car or a shop from over the line: what is asked is answered, and no great register is made",
    )
    kept = 0
    for province, county in SEEDS.items():
        vehicles = await _register(stage, f"{province}/{county}/police", VEHICLES, "vehicles.csv")
        enterprises = await _register(stage, f"{province}/{county}/market", ENTERPRISES, "enterprises.csv")
        stage.tell(
            f"公安登记车辆 {vehicles} 辆，市场监管登记企业 {enterprises} 户"
            f" | {vehicles} vehicles by its police, {enterprises} enterprises by its market office",
            lead=node_name(province),
        )
        kept += vehicles + enterprises
    vehicle, enterprise = _rows(VEHICLES, "vehicles.csv")[0], _rows(ENTERPRISES, "enterprises.csv")[0]
    answers, released = dict[str, str](), dict[str, list[str]]()
    for name, kind, value, fields in (
        ("plate", SelectorKind.PLATE, vehicle.plate, VEHICLE_FIELDS),
        ("other_plate", SelectorKind.PLATE, NO_PLATE, frozenset[str]()),
        ("uscc", SelectorKind.USCC, enterprise.uscc, ENTERPRISE_FIELDS),
    ):
        act = lookup_act(officer=REGISTER_OFFICER)
        (answer,) = (await stage.search(act, CASE, selector=Selector(kind=kind, value=value))).answers
        answers[name] = answer.outcome.value
        stage.tell(" | ".join(word_halves("Outcome", answer.outcome)), lead=value)
        if fields:
            act = lookup_act(officer=REGISTER_OFFICER)
            found = await stage.release(act, CASE, handle=answer.handle, fields=fields)
            is_vehicle = kind is SelectorKind.PLATE
            released["vehicle" if is_vehicle else "enterprise"] = sorted(found)
            zh, en = _released(found, "VehicleStatus" if is_vehicle else "EnterpriseStatus")
            stage.tell(f"得到{zh} | released: {en}", lead="  ")
    return {"kept": kept, "answers": answers, "released": released}


async def _register(stage: Stage, agency: str, register: Register[Fact], name: str) -> int:
    rows = _rows(register, name, province=agency.partition("/")[0])
    act = Act(
        request_id=str(uuid.uuid4()),
        purpose=REGISTER_PURPOSE[register.kind],
        function=REGISTER_FUNCTION[register.kind],
        officer="demo-clerk",
    )
    answers = await stage.call(agency, register.registering, act, tuple(rows))
    kept = sum(isinstance(answer, StoredVersion) for answer in answers)
    if kept != len(rows):
        raise NotFoundError("DEMO_REFUSED", f"{agency} registered {kept} of {len(rows)} rows")
    return kept


def _rows(register: Register[Fact], name: str, *, province: str = ASKED) -> list[Fact]:
    rows: list[Fact] = []
    for row in read_rows(repository_folder("nodes") / province / name, register.sheet):
        if isinstance(row.texts, BridgeheadError):
            raise row.texts
        rows.append(register.sheet.parse(row.texts))
    return rows


# ---- what policy leaves to a person waits at the desk, under a clock

INLAND: Final = "jiangxi/361102/police"
INLAND_CASE: Final = "XZ-2026-0007"
INLAND_OFFICER: Final = "xinzhou-0061"
INLAND_LEADER: Final = "xinzhou-leader"
DESK: Final = "zhejiang/330112/police"
DESK_OFFICER: Final = "intake-02"
REFUSAL_WORDS: Final = "同一案件已答复一次，请说明再次查询的理由"


async def ask_inland(stage: Stage) -> dict[str, JsonOut]:
    """An inland office asks; the desk answers it, and refuses the same question once more: how each ended."""
    stage.title(
        "非边际单位查询：由对方受理岗人工答复 | An inland office asks: a person at the other side answers",
        "规则定不了的由人来定，一小时内答复；拒绝也写明理由"
        " | What rules leave open a person decides within the hour, and gives a reason for a no",
    )
    inland, letter = lookup_act(officer=INLAND_LEADER), "信公协〔2026〕7号"
    await stage.open_case(inland, INLAND_CASE, CHANGSHAN, leader=INLAND_LEADER, letter=letter, police=INLAND)
    asked = await stage.search(lookup_act(officer=INLAND_OFFICER), INLAND_CASE, police=INLAND)
    at_once = asked.answers[0].outcome.value
    zh, en = word_halves("Outcome", at_once)
    stage.tell(
        f"不在边界的信州问浙江：{zh}，规则把它留给人"
        f" | Xinzhou, away from the border, asks {ASKED}: {en}, policy leaves it to a person"
    )
    release = intake.ReleaseQuestion(request_id=await _inbox(stage))
    answer = await stage.call(DESK, intake.RELEASE_INTAKE, lookup_act(officer=DESK_OFFICER), release)
    if answer.status is None:
        raise NotFoundError("DEMO_REFUSED", f"the desk was refused: {answer.decision.title_en}")
    (zh, en), office = word_halves("Outcome", "hit" if answer.hit else "no_hit"), short(stage.office(DESK))
    stage.tell(f"答复：{zh} | answers: {en}", lead=office)
    released = await _read(stage, asked.lookup_id)
    zh, en = word_halves("Outcome", released)
    stage.tell(f"信州再看：{zh} | Xinzhou reads again: {en}")

    asked = await stage.search(lookup_act(officer=INLAND_OFFICER), INLAND_CASE, police=INLAND)
    reason, request_id = RefusalReason.CASE_UNCLEAR, await _inbox(stage)
    refusal = intake.RefuseQuestion(request_id=request_id, reason=reason, words=REFUSAL_WORDS)
    await stage.call(DESK, intake.REFUSE_INTAKE, lookup_act(officer=DESK_OFFICER), refusal)
    refused = await _read(stage, asked.lookup_id)
    zh, en = REASON_WORDS[reason]
    stage.tell(f"又问一次，拒绝：{zh}（{REFUSAL_WORDS}） | asked once more, refuses: {en}", lead=office)
    return {"at_once": at_once, "released": released, "refused": refused}


async def _inbox(stage: Stage) -> str:
    page = await stage.call(DESK, intake.LIST_INTAKE, lookup_act(officer=DESK_OFFICER), intake.IntakeQuery())
    stage.tell(*inbox_lines(page))
    if len(page.lines) != 1:
        raise NotFoundError("DEMO_INBOX", f"expected one request at the desk, got {len(page.lines)}")
    return page.lines[0].request_id


async def _read(stage: Stage, lookup_id: str) -> str:

    async def find() -> str | None:
        act = lookup_act(officer=INLAND_OFFICER)
        (step,) = (await stage.call(INLAND, lookups.READ_LOOKUP, act, lookup_id)).steps
        return None if step.outcome is None or step.outcome is Outcome.WAITING else step.outcome.value

    return await stage.wait_for(find, what="the desk's answer")


# ---- a case without a letter, for which its leader answers; and what the person is told

GLASS: Final = "BREAK-GLASS-2026-0001"
GLASS_WORDS: Final = "夜间走失儿童，协作函次日补送"
COUNTER: Final = "anhui/341022/service-hall"


async def break_glass(stage: Stage) -> str:
    """Asks at once under a case without a letter; its leader is noticed, and answers by an own key: what was found."""
    stage.title(
        "紧急先查：领导即刻得知，次日前审查 | Break-glass: the leader is told at once and answers for it",
        "走失的孩子等不得公文；事后一定有人负责"
        " | A lost child cannot wait for a letter; afterwards somebody answers for it",
    )
    leader_key = stage.key(LEADER)

    def night() -> Act:
        return lookup_act(LookupPurpose.MISSING_PERSON, officer="yushan-0733")

    await stage.open_case(night(), GLASS, CHANGSHAN, leader=LEADER)
    stage.tell(
        f"孩子走失，来不及发函：{GLASS}，两小时 | a child is missing, there is no time for a letter: {GLASS}, two hours"
    )
    (answer,) = (await stage.search(night(), GLASS)).answers
    fields = frozenset({"holder_name", "residence_division"})
    released = await stage.release(night(), GLASS, handle=answer.handle, fields=fields)
    zh, en = named(released)
    stage.tell(f"命中，得到{zh} | hit; released: {en}", lead=node_name(ASKED))

    page = await stage.call(POLICE, oversight.LIST_NOTICES, lookup_act(officer=LEADER), PageQuery())
    (notice,) = (state.notice for state in page.notices)
    stage.tell(
        f"同一时刻通知领导 {notice.leader}：{notice.officer} 所查，{notice.due} 前审查"
        f" | {notice.leader} was noticed in the same moment: {notice.officer}, review due {notice.due}"
    )
    signed = review_bytes(GLASS, parse_agency_id(POLICE), finding=Finding.JUSTIFIED, words=GLASS_WORDS)
    signature = format_base64(leader_key.sign(signed))
    question = oversight.ReviewQuestion(
        case_id=GLASS, finding=Finding.JUSTIFIED, words=GLASS_WORDS, signature=signature
    )
    reviewed = await stage.call(POLICE, oversight.REVIEW_BREAK_GLASS, lookup_act(officer=LEADER), question)
    zh, en = word_halves("Finding", reviewed.notice.finding)
    stage.tell(f"领导以本人密钥审查：{zh}（{GLASS_WORDS}） | reviewed by the leader's own key: {en}")
    return reviewed.notice.finding.value


async def report(stage: Stage, *, silent: bool = False) -> tuple[int, int]:
    """The person asks in a province that had no part; returns how many entries were told and how many withheld.

    `silent`: how many there are is told, and not each of them.
    """
    act = Act(request_id=str(uuid.uuid4()), purpose=SUBJECT_PURPOSE, function=SUBJECT_FUNCTION, officer="xiuning-clerk")
    question = ReportQuestion(citizen_number=stage.number, identity_checked=True)
    page = await stage.call(COUNTER, GET_REPORT, act, question)
    count = len(page.lines)
    brief = f"本人再查，看得到全部 {count} 条 | the person asks again, and sees all {count} entries"
    stage.tell(*([brief] if silent else report_lines(page)))
    return len(page.lines), page.withheld_count


# ---- a register is imported while a node dies

KILLED: Final = NodeName("jiangxi")
CHUNK: Final = 100
MONTHS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    agency: AgencyId
    chunk: ImportChunk


@dataclass(kw_only=True)
class _Import:
    third: int
    sent: int = 0
    third_reached: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self, rows: int) -> None:
        self.sent += rows
        if self.sent >= self.third:
            self.third_reached.set()


async def import_all(stage: Stage, records: int) -> dict[str, JsonOut]:
    """Imports permits in every province, kills one node in the middle, brings it back, waits for every receipt."""
    stage.title(
        f"导入 {records} 张居住证，途中断电一次 | {records} permits imported, one node killed on the way",
        "断电不丢一条，也不重一条 | A power cut loses nothing and doubles nothing",
    )
    loads = {node: list(_loads(stage, node, records)) for node in stage.federation.homes}
    total = sum(len(load.chunk.rows) for share in loads.values() for load in share)
    run = _Import(third=total // 3)
    began = time.monotonic()
    with progress(said("导入|importing"), total) as bar:

        async def county_by_county(share: Sequence[_Load]) -> None:
            for load in share:
                await _send(stage, load)
                run.count(len(load.chunk.rows))
                bar.advance(bar.task_ids[0], len(load.chunk.rows))

        provinces = [asyncio.create_task(county_by_county(share)) for share in loads.values()]
        await _kill_in_the_middle(stage, run)
        await asyncio.gather(*provinces)
    seconds = time.monotonic() - began
    stage.tell(
        f"{seconds:.1f} 秒导入 {run.sent} 张，每批均有答复"
        f" | imported {run.sent} permits in {seconds:.1f} s; every chunk was answered"
    )
    leaves = await _settled(stage)
    stage.tell(
        f"每条消息都有回执，没有等待的；四本日志共 {leaves} 条"
        f" | every message has its receipt, none is waiting; the four logs hold {leaves} entries"
    )
    return {"imported": run.sent, "log_entries": leaves, "import_seconds": round(seconds, 2)}


async def _kill_in_the_middle(stage: Stage, run: _Import) -> None:
    await asyncio.wait_for(run.third_reached.wait(), PATIENCE_SECONDS)
    before, federation = run.sent, stage.federation
    pid = kill_node(federation, KILLED)
    stage.tell(
        f"导入 {before} 张后江西断电（进程 {pid} 被杀）；其余照常，给它的先排队"
        f" | after {before} permits: SIGKILL to {KILLED} (process {pid}); the others go on and queue what is for it"
    )
    await asyncio.sleep(1.0)
    meanwhile = run.sent - before
    start_node(federation, KILLED)
    await asyncio.to_thread(wait_ready, federation, [KILLED])
    write_federation_file(federation)
    pid = federation.processes[KILLED].pid
    stage.tell(
        f"江西恢复（进程 {pid}），其间导入 {meanwhile} 张"
        f" | {KILLED} is back (process {pid}); {meanwhile} were imported meanwhile"
    )


async def _send(stage: Stage, load: _Load) -> None:
    act = permit_act(PermitPurpose.ADMINISTRATION)

    async def send() -> bool | None:
        try:
            rows = await stage.call(str(load.agency), permits.IMPORT_PERMITS, act, load.chunk)
        except (UnavailableError, ConflictError):
            return None
        for row in rows:
            if isinstance(row, BridgeheadError):
                raise row
        return True

    await stage.wait_for(send, what=f"an answer to {load.agency}", pause=0.2)


async def _settled(stage: Stage) -> int:
    """Waits until nothing is queued anywhere and every head is cosigned; returns how many leaves the logs hold."""
    auditors = [str(stage.federation.agencies(node, "audit")[0]) for node in stage.federation.homes]

    async def find() -> int | None:
        try:
            states = [await stage.status(name) for name in auditors]
        except UnavailableError:
            return None
        waiting = any(peer.waiting_count for state in states for peer in state.peers)
        cosigned = all(peer.cosigned_size == state.tree_size for state in states for peer in state.peers)
        return None if waiting or not cosigned else sum(state.tree_size for state in states)

    return await stage.wait_for(find, what="a receipt of every message", pause=0.1)


def _loads(stage: Stage, node: NodeName, records: int) -> Iterator[_Load]:
    halls = {agency.county: agency for agency in stage.federation.agencies(node, "service-hall")}
    count = records // len(stage.federation.homes)
    by_county: dict[str, list[PermitImport]] = {}
    for month in range(MONTHS):
        issued = china_today() - timedelta(days=30 * month + 1)
        share = count // MONTHS + (month < count % MONTHS)
        people = synthetic_applications(node, 1_000_000, seed=stage.seed * 1000 + month, today=issued)
        for found in islice((each for each in people if each.residence_division in halls), share):
            row = PermitImport(application=found, issue_date=issued)
            by_county.setdefault(found.residence_division, []).append(row)
    for county, rows in by_county.items():
        import_id = str(uuid.uuid4())
        for number, start in enumerate(range(0, len(rows), CHUNK), start=1):
            chunk = ImportChunk(import_id=import_id, chunk=number, rows=tuple(rows[start : start + CHUNK]))
            yield _Load(agency=halls[county], chunk=chunk)
