"""An alert as an officer reads it: what and where, how it stands, its clocks, its texts, what may be done now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from federation.cli import alert_rows
from federation.cli.alert_words import LATE
from federation.cli.show import CHINA, item_line, local_time, seen
from federation.cli.words import enclosed, listed, one_of, pair, punctuated, said, short, titled
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
    yield seen(f"{level}  {alert_rows.kind_text(line)}  {place}")
    yield f"  {punctuated('；').join(pair(*each) for each in row.said)}"
    if line.status is not Status.ACTUAL:
        yield said("  本条为演练或测试，不计入统计 | an exercise or a test: it counts in no figure")
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
    "accepted": "签收|accept", "contacted": "联系|contact", "arrived": "到场|arrive",
    "stop_asked": "请求止付|ask to stop payment", "visited": "见面劝阻|visit", "sampled": "取样|sample",
    "confirmed": "确认|confirm", "flame_out": "扑灭明火|put out the flame",
}  # fmt: skip


def _stage(stage: StageLine) -> str:
    words, due = titled(_ACT_OF_STAGE[stage.stage]), local_time(stage.due)
    if stage.at is None:
        if stage.late:
            return f"{words}** {said(f'超时（应于 {due} 前）|LATE (due {due})')} **"
        return words + said(f"应于 {due} 前|due {due}")
    made = f"  {said('补录|entered afterwards')}" if stage.made else ""
    reason = pair(LATE.get(stage.late_reason, ""), stage.late_reason)
    late = f"  {titled('超时|late')}{reason}".rstrip() if stage.late else ""
    return f"{words}{local_time(stage.at)}  {_desk(stage.desk)} {stage.officer}{made}{late}"


_NOTHING_THERE: Final = frozenset({"", "CITES_NOTHING", "NOT_LATE", "NOT_LEADER"})
"""Reasons of what is about nothing now, such as a hand-over that nobody offered."""


def view_lines(view: wire.AlertView, at: datetime, *, full: bool = False) -> Iterator[str]:
    """An alert on one screen, with its texts and what its reader may do now."""
    if view.line is None:
        return
    yield from alert_lines(view.line, at)
    for item in view.texts:
        yield item_line(item, full=full)
    for later in view.later:
        when = "" if later.made is None else local_time(later.made)
        made = enclosed(short(f"现场 {when} 补录|made {when}, entered late")) if when else ""
        stamped = f"{said(_ACT_OF_STAGE[later.stage])} {local_time(later.at)} {_desk(later.desk)}{made}"
        yield f"  {titled('另有|also stamped')}{stamped}"
    for record in view.links:
        yield f"  {titled('关联|linked')}{record}"
    is_gone = view.line.state in alert_rows.ENDED and not view.kept_days
    if not is_gone and (kept := kept_words(view)):
        yield f"  {said(kept)}"
    yield from link_lines(view)
    ready = [offer for offer in view.offers if offer.possible and not offer.to]
    if ready:
        verbs = [(offer.zh, VERBS.get(offer.act, offer.act).replace("_", "-")) for offer in ready]
        named = listed(one_of(f"{zh} {verb}", verb) for zh, verb in verbs)
        yield f"  {titled('现在可办|may be done now')}{named}"
    for offer in view.offers:
        if not offer.possible and offer.reason not in _NOTHING_THERE:
            zh, en = REASONS_OF_ALERTS.get(offer.reason, ("", offer.reason))
            why = said(f"{zh} | {en}")
            yield f"  {titled('尚不能办|not yet')}{pair(offer.zh, offer.en)}{punctuated(': ')}{why}"


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
        return titled("拒绝|refused") + said(f"{outcome.decision.title_zh} | {outcome.decision.title_en}")
    entry = outcome.entry
    if entry is None:
        return ""
    if entry.without_effect == "HELD_BY_OTHER" and outcome.line is not None:
        return said(held_words(outcome.line))
    if entry.without_effect:
        zh, en = REASONS_OF_ALERTS.get(entry.without_effect, ("", entry.without_effect))
        return titled("无效果|without effect") + said(f"{zh} | {en}")
    return said(f"{entry.act_zh}：已记录 | {entry.act_en}: recorded")


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
            link = f"bridgehead alert link {number} {offer.to}"
            yield said(f"  ! {offer.zh} {link} | {offer.en} {link}")
