"""The scenes of the demo with a person in them: a desk across the border, a broken glass, the one who was asked about.

What policy leaves to a person waits at the desk, under a clock; the report's lines are those of `subject report`.
"""

from __future__ import annotations

import uuid
from typing import Final

from federation.cli.demo.lookup_scenes import LEADER
from federation.cli.demo.stage import ASKED, CHANGSHAN, POLICE, Stage, lookup_act
from federation.cli.intake import inbox_lines
from federation.cli.reports import report_lines
from federation.domain.intake import RefusalReason
from federation.domain.lookups import Outcome
from federation.domain.lookups_policy import SUBJECT_FUNCTION, SUBJECT_PURPOSE, LookupPurpose
from federation.domain.oversight import Finding, review_bytes
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import parse_agency_id
from federation.protocol.tlog.lines import format_base64
from federation.wire.agency.intake import (
    LIST_INTAKE,
    REFUSE_INTAKE,
    RELEASE_INTAKE,
    IntakeQuery,
    RefuseQuestion,
    ReleaseQuestion,
)
from federation.wire.agency.lookups import CLOSE_CASE, READ_LOOKUP, CaseQuestion
from federation.wire.agency.oversight import LIST_NOTICES, REVIEW_BREAK_GLASS, PageQuery, ReviewQuestion
from federation.wire.agency.reports import GET_REPORT, ReportQuestion
from federation.wire.values import Act

INLAND: Final = "jiangxi/361102/police"
INTAKE: Final = "zhejiang/330112/police"
CASE: Final = "XZ-2026-0007"
OFFICER, DESK_OFFICER = "xinzhou-0061", "intake-02"
WORDS: Final = "同一案件已答复一次,请说明再次查询的理由"

COUNTER: Final = "anhui/341022/service-hall"
GLASS: Final = "BREAK-GLASS-2026-0001"
NIGHT_OFFICER: Final = "yushan-0733"
GLASS_FIELDS: Final = frozenset({"holder_name", "residence_division"})
GLASS_WORDS: Final = "夜间走失儿童,协作函次日补送"


async def ask_inland(stage: Stage) -> dict[str, str]:
    """An inland office asks; the desk answers it, and refuses the same question once more: how each ended."""
    question = CaseQuestion(
        case_id=CASE,
        letter="信公协〔2026〕7号",
        counties=frozenset({CHANGSHAN}),
        purposes=frozenset({LookupPurpose.CRIMINAL_INVESTIGATION}),
        days=30,
        leader="xinzhou-leader",
    )
    await stage.open_case(lookup_act(officer=OFFICER), question, police=INLAND)
    asked = await stage.search(lookup_act(officer=OFFICER), CASE, police=INLAND)
    at_once = asked.answers[0].outcome.value
    stage.tell(f"Xinzhou, away from the border, asks {ASKED}: {at_once}, policy leaves it to a person")
    release = ReleaseQuestion(request_id=await _inbox(stage))
    answer = await stage.call(INTAKE, RELEASE_INTAKE, lookup_act(officer=DESK_OFFICER), release)
    if answer.status is None:
        raise NotFoundError("DEMO_REFUSED", f"the desk was refused: {answer.decision.title_en}")
    stage.tell(f"{INTAKE} answers: {'hit' if answer.hit else 'no hit'}")
    released = await _read(stage, asked.lookup_id)
    stage.tell(f"Xinzhou reads again: {released}")

    asked = await stage.search(lookup_act(officer=OFFICER), CASE, police=INLAND)
    refusal = RefuseQuestion(request_id=await _inbox(stage), reason=RefusalReason.CASE_UNCLEAR, words=WORDS)
    await stage.call(INTAKE, REFUSE_INTAKE, lookup_act(officer=DESK_OFFICER), refusal)
    refused = await _read(stage, asked.lookup_id)
    stage.tell(f"asked once more, the desk refuses ({refusal.reason}): {WORDS}")
    return {"at_once": at_once, "released": released, "refused": refused}


async def close_inland_case(stage: Stage) -> None:
    """Closes the inland office's case."""
    await stage.call(INLAND, CLOSE_CASE, lookup_act(officer=OFFICER), CASE)
    stage.tell(f"case {CASE} is closed")


async def break_glass(stage: Stage) -> None:
    """Opens a case without a letter, for two hours; its leader is noticed at once and reviews it."""
    stage.key(LEADER)
    question = CaseQuestion(
        case_id=GLASS,
        counties=frozenset({CHANGSHAN}),
        purposes=frozenset({LookupPurpose.MISSING_PERSON}),
        leader=LEADER,
    )
    await stage.open_case(_night_act(), question)
    stage.tell(f"a child is missing, there is no time for a letter: {GLASS}, two hours")
    (answer,) = (await stage.search(_night_act(), GLASS)).answers
    released = await stage.release(_night_act(), GLASS, handle=answer.handle, fields=GLASS_FIELDS)
    stage.tell(f"{ASKED}: hit; released: {', '.join(sorted(released))}")


async def review(stage: Stage) -> str:
    """Has the leader read the notice and answer for it, by the leader's own key: what was found."""
    page = await stage.call(POLICE, LIST_NOTICES, lookup_act(officer=LEADER), PageQuery())
    (notice,) = (state.notice for state in page.notices)
    stage.tell(f"{notice.leader} was noticed in the same moment: {notice.officer}, review due {notice.due}")
    signed = review_bytes(GLASS, parse_agency_id(POLICE), finding=Finding.JUSTIFIED, words=GLASS_WORDS)
    signature = format_base64(stage.key(LEADER).sign(signed))
    question = ReviewQuestion(case_id=GLASS, finding=Finding.JUSTIFIED, words=GLASS_WORDS, signature=signature)
    reviewed = await stage.call(POLICE, REVIEW_BREAK_GLASS, lookup_act(officer=LEADER), question)
    stage.tell(f"reviewed by the leader's own key: {reviewed.notice.finding} ({GLASS_WORDS})")
    return reviewed.notice.finding.value


async def report(stage: Stage) -> tuple[int, int]:
    """The person asks at a counter of a province that had no part in it: what runs is counted and dated.

    Returns how many entries were told, and how many are withheld for now.
    """
    act = Act(request_id=str(uuid.uuid4()), purpose=SUBJECT_PURPOSE, function=SUBJECT_FUNCTION, officer="xiuning-clerk")
    question = ReportQuestion(citizen_number=stage.number, identity_checked=True)
    page = await stage.call(COUNTER, GET_REPORT, act, question)
    for line in report_lines(page):
        stage.tell(line)
    return len(page.lines), page.withheld_count


async def _inbox(stage: Stage) -> str:
    """Shows the inbox of the one office that answers for the province; returns what waits there."""
    page = await stage.call(INTAKE, LIST_INTAKE, lookup_act(officer=DESK_OFFICER), IntakeQuery())
    for line in inbox_lines(page):
        stage.tell(line)
    if len(page.lines) != 1:
        raise NotFoundError("DEMO_INBOX", f"expected one request at the desk, got {len(page.lines)}")
    return page.lines[0].request_id


async def _read(stage: Stage, lookup_id: str) -> str:
    """What the officer who asked reads again, once the desk's answer is there."""

    async def find() -> str | None:
        (step,) = (await stage.call(INLAND, READ_LOOKUP, lookup_act(officer=OFFICER), lookup_id)).steps
        return None if step.outcome is None or step.outcome is Outcome.WAITING else step.outcome.value

    return await stage.wait_for(find, what="the desk's answer")


def _night_act() -> Act:
    return lookup_act(LookupPurpose.MISSING_PERSON, officer=NIGHT_OFFICER)
