"""An alert as an officer reads it: what and where, how it stands, its clocks, its texts, what may be done now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from federation.cli import alert_rows
from federation.cli.alert_words import LATE
from federation.cli.show import CHINA, local_time
from federation.cli.words import said, titled
from federation.domain.alert_acts import ALERT_REASONS
from federation.domain.alert_line import AlertLine, StageLine
from federation.domain.cap import Status
from federation.domain.joint_offers import REASONS
from federation.wire.agency import alerts as wire

REASONS_OF_ALERTS: Final = {**REASONS, **ALERT_REASONS}
VERBS: Final = {
    "withdraw_hand_over": "withdraw", "accept_hand_over": "accept", "reject_hand_over": "reject",
    "keep_as_evidence": "keep",
}  # fmt: skip
"""The commands of acts that are called otherwise."""


def alert_lines(line: AlertLine, at: datetime) -> Iterator[str]:
    """An alert on a few lines: what and where, how it stands, its clocks, who holds it."""
    row = alert_rows.row_of(line, at)
    level, place = alert_rows.level_of(line)[0], alert_rows.place_of(line)
    yield alert_rows.seen(f"{level}  {alert_rows.kind_of(line)} {line.en}  {place}")
    yield f"  {'；'.join(f'{zh} {en}' for zh, en in row.said)}"
    if line.status is not Status.ACTUAL:
        yield "  本条为演练或测试，不计入统计 | an exercise or a test: it counts in no figure"
    yield f"  {titled('编号|number')}{line.cap_id}  {titled('记录|record')}{line.record}"
    yield f"  {titled('首报|raised')}{local_time(line.raised)}  {_desk(line.raised_by)}"
    yield f"  {titled('有效至|until')}{local_time(line.expires)}"
    for stage in line.stages:
        yield f"  {_stage(stage)}"
    if line.holder:
        lease = f"  {titled('签收至|lease')}{local_time(line.lease)}" if line.lease is not None else ""
        yield f"  {titled('持有席位|holder')}{_desk(line.holder)}{lease}"
    for helper in line.helpers:
        yield f"  {titled('协助席位|helper')}{_desk(helper)}"
    if line.offer_to:
        until = f"  {said('至|until')} {local_time(line.offer_until)}" if line.offer_until is not None else ""
        yield f"  {titled('移交|offered to')}{_desk(line.offer_to)}{until}"


def _desk(desk: str) -> str:
    named = alert_rows.desk_name(desk)
    return desk if named == desk else f"{named} {desk}"


_ACT_OF_STAGE: Final = {
    "accepted": said("签收|accept"), "contacted": said("联系|contact"), "arrived": said("到场|arrive"),
    "stop_asked": said("请求止付|ask to stop payment"), "visited": said("见面劝阻|visit"),
    "sampled": said("取样|sample"), "confirmed": said("确认|confirm"), "flame_out": said("扑灭明火|put out the flame"),
}  # fmt: skip


def _stage(stage: StageLine) -> str:
    words, due = _ACT_OF_STAGE[stage.stage], local_time(stage.due)
    if stage.at is None:
        late = said(f"** 超时（应于 {due} 前）|LATE (due {due}) **") if stage.late else said(f"应于 {due} 前|due {due}")
        return f"{words}: {late}"
    made = f"  {said('补录|entered afterwards')}" if stage.made else ""
    late = (
        f"  {titled('超时|late')}{LATE.get(stage.late_reason, '')} {stage.late_reason}".rstrip() if stage.late else ""
    )
    return f"{words}: {local_time(stage.at)}  {_desk(stage.desk)} {stage.officer}{made}{late}"


_NOTHING_THERE: Final = frozenset({"", "CITES_NOTHING", "NOT_LATE", "NOT_LEADER"})
"""Reasons of what is about nothing now, such as a hand-over that nobody offered."""


def view_lines(view: wire.AlertView, at: datetime) -> Iterator[str]:
    """An alert on one screen, with its texts and what its reader may do now."""
    if view.line is None:
        return
    yield from alert_lines(view.line, at)
    for item in view.texts:
        given = "  ".join(f"{name}={value}" for name, value in sorted(item.fields.items()))
        hidden = f" （{item.closed} {said('项不对本席位开放|closed to you')}）" if item.closed else ""
        yield alert_rows.seen(f"  - {item.kind}: {given}{hidden}")
    for later in view.later:
        made = f"（现场 {local_time(later.made)} 补录）" if later.made is not None else ""
        stamped = f"{_ACT_OF_STAGE[later.stage]} {local_time(later.at)} {_desk(later.desk)}{made}"
        yield f"  {titled('另有|also stamped')}{stamped}"
    for record in view.links:
        yield f"  {titled('关联|linked')}{record}"
    is_gone = view.line.state in alert_rows.ENDED and not view.kept_days
    if not is_gone and (kept := kept_words(view)):
        yield f"  {kept}"
    yield from link_lines(view)
    ready = [offer for offer in view.offers if offer.possible and not offer.to]
    if ready:
        named = "、".join(f"{offer.zh} {VERBS.get(offer.act, offer.act).replace('_', '-')}" for offer in ready)
        yield f"  {titled('现在可办|may be done now')}{named}"
    for offer in view.offers:
        if not offer.possible and offer.reason not in _NOTHING_THERE:
            zh, en = REASONS_OF_ALERTS.get(offer.reason, ("", offer.reason))
            yield f"  尚不能办 not yet: {offer.zh} {offer.en}: {zh} | {en}"


def kept_words(view: wire.AlertView) -> str:
    """A sentence on how long what an alert says is kept, and what to do first where an assessment wants it."""
    days = view.kept_days
    if days is None:
        return ""
    if view.is_evidence:
        return f"已留作证据，结束 {days} 天后销毁 | kept as evidence: destroyed {days} days after the end"
    keep = "bridgehead alert keep"
    if days:
        zh, en = f"结束 {days} 天后销毁", f"destroyed {days} days after the end"
        return (
            f"{zh}；评估要用的，由首报单位留作证据：{keep} | {en}; who raised it keeps what an assessment wants: {keep}"
        )
    zh, en = "结束即销毁", "destroyed at the end"
    return f"{zh}；评估要用的，请首报单位先留作证据：{keep} | {en}: let who raised it keep first what is wanted: {keep}"


def outcome_words(outcome: wire.AlertOutcome) -> str:
    """The end of an act in a line: done, refused by policy, or without effect and why."""
    if not outcome.decision.allowed:
        return f"拒绝 refused: {outcome.decision.title_zh} | {outcome.decision.title_en}"
    entry = outcome.entry
    if entry is None:
        return ""
    if entry.without_effect == "HELD_BY_OTHER" and outcome.line is not None:
        return held_words(outcome.line)
    if entry.without_effect:
        zh, en = REASONS_OF_ALERTS.get(entry.without_effect, ("", entry.without_effect))
        return f"无效果 without effect: {zh} | {en}"
    return f"{entry.act_zh}：已记录 | {entry.act_en}: recorded"


def held_words(line: AlertLine) -> str:
    """The holder of an alert and since when, for a desk that came second."""
    at = next((stage.at for stage in line.stages if stage.at is not None), None)
    since = f"于 {at.astimezone(CHINA):%H:%M:%S} " if at is not None else ""
    return f"该警情已由{alert_rows.desk_name(line.holder)}{since}签收，请配合处置 | held by {line.holder}: please help"


def link_lines(view: wire.AlertView) -> Iterator[str]:
    """The alerts that may be the same event, each with the command that links it."""
    number = "" if view.line is None else view.line.cap_id
    for offer in view.offers:
        if offer.to:
            yield f"  ! {offer.zh} | {offer.en} bridgehead alert link {number} {offer.to}"
