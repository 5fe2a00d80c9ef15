"""The report to a person: which agency asked about them or was given what a joint case says of them, when, for what.

Newest first; an entry of a running investigation is held back, counted, and shown from the end of its case on; a line
names the agency and never the officer, the case or another person. Another province's answer is its word. Sources:
PIPL articles 18, 20, 44, 45 (个人信息保护法); Estonia's data tracker for what a line holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from federation.domain.alert_kinds import ALERTS_FILE, read_alerts
from federation.domain.citizen_number import verify_citizen_number
from federation.domain.clock import china_day
from federation.domain.procedure import procedure_names, read_rules
from federation.protocol.errors import MalformedError
from federation.protocol.form import Count, Item, Time, always, decode, encode, replace
from federation.protocol.ids import AgencyId, NodeName, Realm, checked
from federation.protocol.leaf import Verdict

REQUEST_BODY: Final = "application/vnd.bridgehead.subject-request.v1+json"
REPORT_BODY: Final = "application/vnd.bridgehead.subject-answer.v1+json"
MAX_REPORT_LINES: Final = 2000
"""The most lines that one province answers with; older ones are counted."""
DEFERRED_PURPOSE: Final = "lookup.criminal_investigation"
"""The purpose whose entries wait for the end of their case."""
DEFERRED_JOINT: Final = frozenset(
    {
        "alert.pursuit", "letter.check", "letter.evidence", "letter.interrogate", "letter.interview", "letter.lead",
        "letter.notice", "letter.remote",
    }
)  # fmt: skip
"""The purposes of letters between police forces, and of alerts, that wait for it, too; who is served a paper knows."""

PURPOSES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "": ("未登记的用途", "a purpose that is not registered"),
        "permit.administration": ("办理居住证", "a residence permit was dealt with"),
        "permit.sharing": ("跨省共享居住证", "a residence permit was shared across the border"),
        "permit.recognition": ("跨省互认居住证", "a residence permit was recognised across the border"),
        "permit.service": ("凭居住证办理公共服务", "a public service was given on a residence permit"),
        "permit.check": ("核对居住证", "a residence permit was checked"),
        "vehicle.administration": ("办理车辆登记", "a vehicle was registered"),
        "enterprise.administration": ("办理企业登记", "an enterprise was registered"),
        "subject.access": ("本人查阅", "the person asked for their own report"),
        "subject.complaint": ("本人投诉", "the person complained of what was done with their data"),
        "audit.finding": ("审计发现与整改", "an audit found something, and had it put right"),
        "subject.correct": ("本人更正", "the person asked for a correction"),
        "erasure.order": ("通知删除", "an order to erase"),
        "keys.administration": ("登记经办人密钥", "keys of officers were registered"),
        "figures.report": ("统计报告", "a report of figures"),
        "audit.exchange": ("审计交换记录", "an audit of what was exchanged"),
        "audit.trace": ("追查泄露", "a leak was traced"),
        "alert.duty": ("值守", "a desk on duty"),
        "police.handover": ("案件移交", "a case was handed to another police force"),
        "lookup.of_case": ("案件的唯一用途", "the only purpose of the case"),
        "lookup.oversight": ("监督查询", "look-ups were overseen"),
        "lookup.criminal_investigation": ("公安机关侦查刑事案件", "the police investigated a crime"),
        "lookup.missing_person": ("公安机关查找失踪人员", "the police looked for a missing person"),
        "lookup.identity_check": ("公安机关核实身份", "the police checked an identity"),
        "alert.ecology": ("两地联合查处破坏生态行为", "two provinces acted together against harm to nature"),
        "alert.emergency": ("两地联合处置突发事件", "two provinces dealt with an emergency together"),
        "alert.forest_fire": ("两地联合扑救森林火灾", "two provinces fought a forest fire together"),
        "alert.fraud": ("公安机关预警电信网络诈骗", "the police warned of a fraud"),
        "alert.incident": ("两地联合处置警情", "two provinces dealt with an incident together"),
        "alert.order": ("公安机关处置治安警情", "the police dealt with a matter of public order"),
        "alert.pursuit": ("公安机关协查布控", "the police looked for somebody across the border"),
        "dispute.mediation": ("两地联合调解矛盾纠纷", "two provinces mediated a quarrel together"),
        "wage.claim": ("两地联合处理欠薪", "two provinces dealt with unpaid wages together"),
        "corrections.today": ("核验外出凭证", "a token of a leave was checked"),
        "corrections.leave": ("办理社区矫正对象外出", "a leave of somebody under corrections was dealt with"),
        "corrections.move": ("办理社区矫正执行地变更", "a change of the place of corrections was dealt with"),
        "meeting.resolution": ("两地联席会议办理事项", "a joint meeting of two provinces decided"),
        "vehicle.service": (
            "跨省办理车辆和驾驶证业务",
            "a vehicle or licence was dealt with across the border",
        ),
        "letter.check": ("公安机关异地协作核实", "a police force asked another to check something"),
        "letter.evidence": ("公安机关异地协作取证", "a police force asked another for evidence"),
        "letter.interrogate": ("公安机关异地协作讯问", "a police force asked another to interrogate somebody"),
        "letter.interview": ("公安机关异地协作询问", "a police force asked another to interview somebody"),
        "letter.lead": ("公安机关移交线索", "a police force handed a lead to another"),
        "letter.notice": ("公安机关自行异地办案通报", "a police force told another of its own work there"),
        "letter.remote": ("公安机关异地远程讯问、询问", "a police force questioned somebody by video"),
        "letter.serve": ("公安机关异地协作送达", "a police force asked another to serve a paper"),
    }
)
"""Every registered purpose in plain words; the first stands for one that nobody registered, in a report alone."""
_MAX_TEXT: Final = 200


def agreed_purposes(files: Mapping[str, bytes]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The purposes of each kind of alert and each procedure of an agreement, with its name in both languages."""
    if ALERTS_FILE in files:
        yield from ((kind.purpose, (kind.zh, kind.en)) for kind in read_alerts(files).kind)
    for name in procedure_names(files):
        procedure = read_rules(files, name).procedure
        yield procedure.purpose, (procedure.title_zh, procedure.title_en)


def purposes_of(files: Mapping[str, bytes]) -> Mapping[str, tuple[str, str]]:
    """Every purpose that may be acted for under an agreement, in plain words."""
    return {name: said for name, said in {**dict(agreed_purposes(files)), **PURPOSES}.items() if name}


def _is_printable(text: str) -> bool:
    return len(text) <= _MAX_TEXT and text.isprintable()


def _are_printable(names: frozenset[str]) -> bool:
    return all(map(_is_printable, names))


_Text = Annotated[str, checked(_is_printable, form=f"up to {_MAX_TEXT} printable characters")]


class _Step(Item, frozen=True, kw_only=True):
    """One step of a look-up; `fields` are those handed over, or asked for when refused; empty for a search."""

    time: Time
    asker: AgencyId
    purpose: _Text
    function: _Text
    basis: _Text
    step: _Text
    verdict: Verdict
    fields: Annotated[frozenset[str], checked(_are_printable, form="a sorted list of different names")]


class Disclosure(_Step, frozen=True, kw_only=True):
    """One step, as the province asked keeps it; `deferred_until`: when the case of an investigation was to end."""

    WHAT: ClassVar[str] = "look-up given"

    case_id: _Text
    deferred_until: Time | None = None


class ReportLine(_Step, frozen=True, kw_only=True):
    """One step, as the person is told of it. `given_by`: the province that holds the record.

    `asker_name`: the agency as the agreement names it, of which another province says nothing; empty for one that left.
    """

    WHAT: ClassVar[str] = "subject report"

    given_by: NodeName = NodeName("")
    asker_name: str = ""

    @property
    def purpose_zh(self) -> str:
        return purpose_words(self.purpose)[0]

    @property
    def purpose_en(self) -> str:
        return purpose_words(self.purpose)[1]


class SubjectReport(Item, frozen=True, kw_only=True):
    """The lines that may be shown now, newest first; `next_shown` is the day when the first withheld one will be."""

    WHAT: ClassVar[str] = "subject report"
    REASON: ClassVar[str] = "REPORT_DATE"

    lines: tuple[ReportLine, ...] = always(())
    withheld_count: Count = always(0)
    next_shown: date | None = None
    older_count: Count = always(0)


class SubjectRequest(Item, frozen=True, kw_only=True):
    """The person whose report is asked for; `True` once the clerk has checked that this person asks."""

    WHAT: ClassVar[str] = "subject request"

    citizen_number: str
    identity_checked: bool

    def __repr__(self) -> str:
        return f"SubjectRequest(identity_checked={self.identity_checked})"


def purpose_words(purpose: str) -> tuple[str, str]:
    """A purpose in plain Chinese and English words; one without words is shown as it is."""
    return PURPOSES.get(purpose, (purpose, purpose))


def shown_from(entry: Disclosure, ends: Mapping[tuple[AgencyId, str], datetime]) -> datetime | None:
    """Returns when the entry may be shown, None for at once. A case that was closed early ends the wait early."""
    if entry.deferred_until is None:
        return None
    return min(ends.get((entry.asker, entry.case_id), entry.deferred_until), entry.deferred_until)


def build_report(
    entries: Iterable[Disclosure],
    *,
    given_by: NodeName,
    now: datetime,
    ends: Mapping[tuple[AgencyId, str], datetime],
) -> SubjectReport:
    """Builds what this province tells a person now, of entries up to `now` and the present end of each case."""
    waits = [(entry, shown_from(entry, ends)) for entry in entries if entry.time <= now]
    withheld = [shown for _, shown in waits if shown is not None and shown > now]
    shown_now = [entry for entry, shown in waits if shown is None or shown <= now]
    lines = _newest_first(_line(entry, given_by) for entry in shown_now)
    return SubjectReport(
        lines=lines[:MAX_REPORT_LINES],
        withheld_count=len(withheld),
        next_shown=china_day(min(withheld)) if withheld else None,
        older_count=max(0, len(lines) - MAX_REPORT_LINES),
    )


def merge_reports(reports: Iterable[SubjectReport]) -> SubjectReport:
    parts = tuple(reports)
    days = [part.next_shown for part in parts if part.next_shown is not None]
    return SubjectReport(
        lines=_newest_first(line for part in parts for line in part.lines),
        withheld_count=sum(part.withheld_count for part in parts),
        next_shown=min(days, default=None),
        older_count=sum(part.older_count for part in parts),
    )


def decode_subject_request(encoded: bytes, realm: Realm) -> SubjectRequest:
    """Decodes a person's request; refuses JSON_*, CITIZEN_NUMBER_*, REAL_NUMBER_IN_DEMO."""
    request = decode(SubjectRequest, encoded)
    verify_citizen_number(request.citizen_number, realm)
    return request


def encode_report(report: SubjectReport) -> bytes:
    own = tuple(replace(line, given_by=NodeName(""), asker_name="") for line in report.lines)
    return encode(replace(report, lines=own))


def decode_report(encoded: bytes, *, given_by: NodeName) -> SubjectReport:
    """Decodes another province's report; refuses JSON_*, REPORT_SIZE, and a day with nothing withheld."""
    report = decode(SubjectReport, encoded)
    if len(report.lines) > MAX_REPORT_LINES:
        raise MalformedError("REPORT_SIZE", f"expected at most {MAX_REPORT_LINES} lines, got {len(report.lines)}")
    for name in ("given_by", "asker_name"):
        if any(getattr(line, name) for line in report.lines):
            raise MalformedError("JSON_UNKNOWN_NAME", f"{report.WHAT}: did not expect the name {name!r}")
    if (report.next_shown is None) is (report.withheld_count > 0):
        expected = "expected a day exactly where something is withheld"
        reason = "JSON_MISSING_NAME" if report.withheld_count else "JSON_UNKNOWN_NAME"
        raise MalformedError(reason, f"{report.WHAT}: {expected}", field="next_shown")
    return replace(report, lines=tuple(replace(line, given_by=given_by) for line in report.lines))


def _line(entry: Disclosure, given_by: NodeName) -> ReportLine:
    step = {name: getattr(entry, name) for name in _Step.__struct_fields__}
    return ReportLine(given_by=given_by, **step)


def _newest_first(lines: Iterable[ReportLine]) -> tuple[ReportLine, ...]:
    return tuple(sorted(lines, key=lambda line: (line.time, line.given_by, line.step), reverse=True))
