"""The vocabulary of acts about an alert, in the form of `acts`, and the reasons for which one has no effect.

Rules kept: what every desk must fold alike stands in heads, as words, numbers and times; texts about a place or a
person are items, which die when the work ends. Of acts `by_node` the node writes each once, for the time that was due;
a lapse says `off` when the desk is gone, by the version of the agreement whose sheets have it no more.
Source: DESIGN section 5; CAP 1.2 for status and identifiers; GB/T 35965.1-2018 for `cap_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from federation.domain.acts import Act, FieldValue, act

_CONTENT: Final = (
    "cap_id:cap_id! expires:time! priority:word! level:word issued_by:text document:text manifest:digest area:area[] "
    "division:division[]! ticked:word[] area_m2:number dead:number hurt:number"
)
"""What an alert says beside its texts, which a later message says anew."""
_REASON: Final = "road|weather|far|busy|place|link|caller|danger|handover|other"
REASON_LENGTH: Final = 5
"""The fewest characters that say why a stage is late, where no word of the list does."""
_STAGES: Final = "contacted|arrived|stop_asked|visited|sampled|confirmed|flame_out"
_TEXTS: Final = "fact place contact person document detail"

ALERT_ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        each.name: each
        for each in (
            act("raise", "首报|raise", f"status:Actual|Exercise|Test! kind:alert! desk:desk! {_CONTENT} "
                "origin:110|12345|sensor|caller|patrol|cap source:digest agreement:number!", items=_TEXTS),
            act("update", "续报|update", f"desk:desk! about:entry! {_CONTENT}", items=_TEXTS),
            act("cancel", "撤销|cancel",
                "desk:desk! cap_id:cap_id! why:lifted|false_alarm|duplicate|other! issued_by:text document:text"),
            act("expire", "失效|expire", "due:time!", by_node=True),
            act("claim", "签收|claim", "desk:desk! local:yes|no device:word made:time synced:time"),
            act("release", "退回|release", "desk:desk! reason:text!"),
            act("stamp", "登记时点|stamp",
                f"desk:desk! stage:{_STAGES}! device:word made:time synced:time late:{_REASON} unit:text",
                items="place", when_closed=True),
            act("hand_over", "移交|hand over", "desk:desk! to:desk!"),
            act("withdraw_hand_over", "撤回移交|withdraw a hand-over", "desk:desk! about:entry!"),
            act("accept_hand_over", "接收移交|accept a hand-over", "desk:desk! about:entry!"),
            act("reject_hand_over", "不予接收|reject a hand-over", "desk:desk! about:entry! reason:text!"),
            act("receipt", "牵头节点收到|the arbiter's node receipted it", "about:entry!", by_node=True, once="about"),
            act("lapse", "签收失效|a claim lapses", "about:entry! due:time! off:number", by_node=True),
            act("overdue", "超时|a stage is late", f"stage:accepted|{_STAGES}! due:time!", by_node=True, once="stage"),
            act("escalate", "升级提醒|go up the ladder", "rung:number! due:time!", by_node=True, once="rung"),
            act("trigger", "触发上报|tell the province", "number:number!", by_node=True, once="number"),
            act("remind", "提醒续报|an update is due", "due:time!", by_node=True, once="due"),
            act("skip", "席位无人|a desk has nobody", "desk:desk!", by_node=True),
            act("link", "关联|link to another alert", "desk:desk! other:record! status:Actual|Exercise|Test!",
                when_closed=True),
            act("unlink", "取消关联|unlink", "desk:desk! other:record!", when_closed=True),
            act("keep_as_evidence", "留作证据|keep as evidence", "desk:desk! document:text!", when_closed=True),
            act("excuse", "说明有因|excuse a late stage", f"desk:desk! stage:accepted|{_STAGES}! why:danger|caller!",
                when_closed=True),
            act("note", "记事|keep a note", "desk:desk!", items="fact document", when_closed=True),
            act("close", "办结|close", "desk:desk! result:handled|no_fault_found|handed_to_110|to_case! "
                "by_phone:yes|no reason:text"),
        )
    }
)  # fmt: skip


def areas_in(fields: Mapping[str, FieldValue]) -> tuple[str, ...]:
    found = fields.get("area", ())
    return found if isinstance(found, tuple) else ()


ALERT_REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "ALERT_UNKNOWN_ACT": ("没有这一处置动作", "there is no such act"),
        "ALERT_NOT_RAISED": ("尚未首报", "the alert was not raised"),
        "ALERT_RAISED_ALREADY": ("已首报", "the alert was raised before"),
        "ALERT_ENDED": ("警情已结束", "the alert has ended"),
        "ALERT_FORM": ("内容不符合要求", "a field is missing, or is not of its form"),
        "ALERT_FULL": ("该警情的记录已达上限", "the alert has as many entries as it may"),
        "DESK_NOT_OF_AGENCY": ("该席位不属于本单位", "the desk is not of this agency"),
        "DESK_NOT_FOR_KIND": ("本席位不承担该类警情", "the desk takes no alerts of this kind"),
        "DEPUTY_NOT_YET": ("所代理的席位在岗，尚未轮到代理席位", "the desk it stands in for is on: not its turn yet"),
        "ARBITER_ONLY": ("只能由首报方节点自动记录", "only the node that raised it, or that of the holder, writes it"),
        "OFFICER_MISSING": ("须由值守人员办理", "it wants an officer"),
        "HELD_BY_OTHER": ("该警情已由其他席位签收，请配合处置", "another desk holds it; please help"),
        "NOT_HOLDER": ("本席位未持有该警情", "the desk does not hold the alert"),
        "NOT_RAISER": ("只能由首报单位或者其值班领导办理", "only who raised it, or its leader on duty, may do it"),
        "UPDATE_CONFLICT": ("与续报冲突", "another update came first"),
        "LATE_UNSAID": ("超时原因为其他的，须写明（不少于五个字）", "another reason is said in five characters"),
        "STAMP_NOT_OF_KIND": ("该类警情没有这一时点", "a kind of alert that has no such stage"),
        "STAMP_OUT_OF_ORDER": ("须先登记前一时点", "the stage before it has no stamp"),
        "HAND_OVER_LAPSED": ("移交已失效", "the hand-over is open no more"),
        "NOT_OFFERED": ("移交的不是本席位", "it was offered to another desk"),
        "NOT_LATE": ("该时点未超时", "the stage is not late"),
        "NOT_LEADER": ("须由该席位的值班领导说明", "only the leader over that desk says so"),
        "NOT_DUE": ("时限未到", "the time is not over"),
        "STILL_HELD": ("已过有效期，仍在处置", "its time is over and a desk still works on it"),
        "CLOSE_UNARRIVED": ("尚未到场，须注明电话办结及原因", "nobody arrived: solved by phone, and why?"),
        "LINK_STATUS": ("演练与真实警情不得关联", "an exercise and a real alert are never linked"),
        "CITES_NOTHING": ("引用的记录不存在或者未生效", "what it cites is not there, or had no effect"),
        "DONE_ALREADY": ("已经记录", "it was recorded before"),
        "NO_TRIGGER": ("不符合上报条件", "what sets it off does not hold"),
    }
)  # fmt: skip
"""Why an entry of an alert has no effect, in both languages; the four of the record stand in `joint_offers`."""
