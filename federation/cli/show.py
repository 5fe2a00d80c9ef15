"""The output of commands: stdout is data, stderr is talk; an answer is shown as JSON or in lines, in two languages.

Rules kept: JSON has the names of the protocol, times in UTC, sets in order; lines have China's time. Citizen numbers
and days of birth are masked in both forms until all of it is asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias, TypeVar

from federation.cli import words
from federation.cli.words import Language, language, punctuated, said, sentences, titled
from federation.protocol.form import names_of
from federation.protocol.ids import AgencyId, format_time
from federation.protocol.unseen import find_unseen

if TYPE_CHECKING:
    from rich.progress import Progress

    from federation.domain.case_items import CaseItem
    from federation.domain.clock import Deadline
    from federation.wire.rpc import Ruling

T = TypeVar("T")
JsonOut: TypeAlias = "str | int | float | bool | Sequence[JsonOut] | Mapping[str, JsonOut] | None"
CHINA: Final = timezone(timedelta(hours=8))
_NUMBERS: Final = frozenset({"citizen_number", "keeper", "number", "representative_number"})
_DIVISIONS: Final = frozenset(
    {"residence_division", "household_division", "work_division", "registered_division", "division"}
)
_ENUMS: Final = {
    "node": "NodeName", "owner": "NodeName", "recipient": "NodeName", "given_by": "NodeName", "step": "Step",
    "sex": "Sex", "ground": "Ground", "plate_class": "PlateClass",
}  # fmt: skip
"""Fields that hold a word as text."""
_STATUSES: Final = {
    "PermitStatus": words.PERMIT_FIELDS.keys(),
    "VehicleStatus": words.VEHICLE_FIELDS.keys(),
    "EnterpriseStatus": words.ENTERPRISE_FIELDS.keys(),
}
_FLAT: Final = {"NoticeState": "notice"}
"""What stands in the fields of a value that holds it, as the protocol has it."""
_CARD_ORDER: Final = {name: place for place, name in enumerate(words.RECORD_FIELDS)}


def say(sentence: str) -> None:
    """Says a sentence on stderr, a pair in the language that is asked for; a program is told in its data alone.

    That nobody reads it stops nothing.
    """
    if not words.TALK.get():
        return
    with suppress(BrokenPipeError):
        print(said(sentence), file=sys.stderr, flush=True)


def say_step(step: str) -> None:
    """Says on stderr what to do next."""
    say(f"  -> {said(step)}")


def json_text(value: object, stream: TextIO, *, indent: int | None = None) -> str:
    """A value as JSON, in characters that the stream has: escaped where it is not UTF-8."""
    escaped = not (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf8")
    return json.dumps(value, ensure_ascii=escaped, indent=indent)


def show_json(value: JsonOut) -> None:
    print(json_text(value, sys.stdout, indent=2))


def json_line(value: object) -> str:
    """An answer as JSON on one line, for programs that read line by line."""
    return json_text(to_json(value), sys.stdout)


def show_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on stderr; it shows only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task(description, total=total)
        yield bar


# ---- JSON


def to_json(value: object, *, full: bool = False, name: str = "") -> JsonOut:
    """Any answer as JSON, whatever values it is made of; a person's number and day of birth masked unless `full`."""
    match value:
        case None | bool() | int() | float():
            return value
        case str() | date() | bytes() | AgencyId():
            text = _text(value)
            return text if full else mask(name, text)
        case Mapping():
            in_order = sorted(value.items(), key=lambda entry: _CARD_ORDER.get(entry[0], len(_CARD_ORDER)))
            return {str(key): to_json(each, full=full, name=key) for key, each in in_order}
        case frozenset() | set():
            return sorted(str(to_json(each)) for each in value)
        case tuple() | list():
            return [to_json(each, full=full, name=name) for each in value]
        case _:
            return object_of(value, full=full)


def _text(value: str | date | bytes | AgencyId) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else str(value)


def object_of(value: object, *, full: bool = False) -> dict[str, JsonOut]:
    shown = {name: to_json(getattr(value, name), full=full, name=name) for name in names_of(value)}
    inner = shown.pop(_FLAT.get(type(value).__name__, ""), None)
    if isinstance(inner, dict):
        shown = {**inner, **shown}
    return shown


def pick(value: object, *names: str) -> dict[str, JsonOut]:
    """The fields of that name as a JSON object, as `to_json`."""
    return {name: to_json(getattr(value, name), name=name) for name in names}


# ---- persons


def mask_number(number: str) -> str:
    return f"{number[:6]}{'*' * (len(number) - 8)}{number[-2:]}"


def mask_day(day: date | str) -> str:
    return f"{str(day)[:4]}-**-**"


def mask(name: str, text: str) -> str:
    """Masks the text of a field that names a person; an organisation's number and an office's line are shown."""
    if name == "birth_date":
        return mask_day(text)
    if name == "phone":
        from federation.domain.personal import find_personal

        return f"{text[:3]}{'*' * (len(text) - 5)}{text[-2:]}" if find_personal(text) else text
    if name == "citizen_number":
        return mask_number(text)
    if name in _NUMBERS:
        from federation.domain.citizen_number import is_citizen_number

        return mask_number(text) if is_citizen_number(text) else text
    return text


def fields_text(fields: Mapping[str, str], *, full: bool = False) -> str:
    """The fields of an item on one line, by name; what names a person masked unless `full`."""
    return "  ".join(f"{name}={value if full else mask(name, value)}" for name, value in sorted(fields.items()))


# ---- lines


def seen(text: str) -> str:
    """A text without what rules a terminal or is not seen: each such character as its number."""
    if text.isprintable() and find_unseen(text) is None:
        return text
    return "".join(_number(sign) if not sign.isprintable() or find_unseen(sign) else sign for sign in text)


def _number(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def china_today() -> date:
    """The day at the border, in China's one time zone."""
    return datetime.now(CHINA).date()


def local_time(time: datetime) -> str:
    return time.astimezone(CHINA).isoformat(sep=" ", timespec="seconds")


def local_minute(time: datetime) -> str:
    return f"{time.astimezone(CHINA):%Y-%m-%d %H:%M}"


def local_day(time: datetime) -> str:
    return f"{time.astimezone(CHINA):%Y-%m-%d}"


def deadline_text(deadline: Deadline) -> str:
    """Returns the day, its clock and its calendar; says so where law or calendar is not confirmed."""
    day = deadline.last_day.isoformat() if deadline.last_day is not None else local_minute(deadline.due)
    details = [
        f"{deadline.clock_id} v{deadline.rule_version}",
        f"{said('日历|calendar')} {deadline.calendar_version}",
    ]
    if deadline.extended_by:
        details.append(f"{said('已延|extended by')} {deadline.extended_by}")
    if deadline.verified != "law_read":
        details.append(said("未经法律核对|not legally verified"))
    if not deadline.official:
        details.append(said("日历未公布|calendar not published"))
    return day + punctuated(f" ({'; '.join(details)})")


OF_ITEM: Final = {
    "party": "当事人", "contact": "联系方式", "claim": "诉求", "fact": "情况", "document": "材料", "session": "听证",
    "agreement": "协议", "decision": "决定", "place": "地点", "tie": "回避事项", "account": "账户", "letter": "函件",
    "person": "人员", "outline": "提纲", "record": "笔录", "recording": "录音录像", "evidence": "证据", "lead": "线索",
    "applicant": "申请人", "vehicle": "车辆", "licence": "驾驶证", "inspection": "检验", "agenda": "议题",
    "resolution": "议定事项", "detail": "警情事项",
}  # fmt: skip
_ITEM_FIELDS: Final = {
    "address": "地址", "age_band": "年龄段", "agreed": "双方认可", "amount": "金额", "bank": "银行", "basis": "依据",
    "birth_date": "出生日期", "chunk_size": "分块字节数", "class": "准驾车型", "clothing": "衣着",
    "county": "县", "date": "日期", "day": "日期",
    "division": "区划", "due": "期限", "e_service": "电子送达", "id_kind": "证件种类", "keeper": "车主",
    "kind": "种类", "last4": "后四位", "last_seen": "最后出现的时间和地点", "left": "未付金额",
    "media_type": "文件类型", "minor": "未成年",
    "minutes": "笔录", "name": "姓名", "document.name": "名称", "number": "号码", "obligations": "义务",
    "paid": "已付金额", "period": "期间", "person": "人员", "phone": "电话", "place": "地点", "plate": "号牌",
    "point": "坐标", "result": "结果", "role": "角色", "root": "摘要", "sealed": "封存", "served_on": "送达日期",
    "sex": "性别", "side": "哪一方", "signatures": "签名", "size": "字节数", "source": "来源",
    "state": "状态", "tag": "代号",
    "text": "内容", "time": "时间", "title": "标题", "valid_until": "有效期至", "village": "村（社区）",
    "vin": "车辆识别代号",
}  # fmt: skip
"""Fields of items in words; one without is shown as it is typed."""
_ITEM_VALUES: Final = {"yes": "是", "no": "否", "both": "双方", "a": "甲方", "b": "乙方"}


def of_item(kind: str, field: str) -> tuple[str, str]:
    """A field of an item in Chinese and in English; the field as it is typed where it has no words."""
    return _ITEM_FIELDS.get(f"{kind}.{field}") or _ITEM_FIELDS.get(field, field), field.replace("_", " ")


def item_line(item: CaseItem, *, full: bool = False) -> str:
    """An item of a case or an alert in words, masked as `fields_text`; and how much is closed to who reads it."""
    given = []
    for name, value in sorted(item.fields.items()):
        shown = words.pair(_ITEM_VALUES.get(value, ""), value if full else mask(name, value))
        given.append(f"{words.pair(*of_item(item.kind, name))} {shown}")
    closed = said(f"{item.closed} 项不对本单位开放|{item.closed} closed to you")
    hidden = f" {words.enclosed(closed)}" if item.closed else ""
    return seen(f"  - {titled(words.pair(OF_ITEM.get(item.kind, ''), item.kind))}{'  '.join(given)}{hidden}")


def align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(words.cells(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - words.cells(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def table(values: Iterable[T], *columns: str | tuple[str, Callable[[T], str]]) -> Iterator[str]:
    """Values as lines under a heading in both languages; a column is a field, or a heading and its cell."""
    rows = [[_cell(value, column) for column in columns] for value in values]
    if rows:
        heads = [words.label(column if isinstance(column, str) else column[0]) for column in columns]
        yield from align([heads, *rows])


def card(shown: JsonOut, *, enum: str | None = None) -> Iterator[str]:
    """The fields of a JSON object one a line: label, name, the value with what it means; what is null is left out.

    `enum` names the words of the status; without it they are those of whichever kind of record has these fields, and
    a status that kinds name differently is shown as it stands.
    """
    if not isinstance(shown, Mapping):
        return iter(())
    enums = (enum,) if enum else tuple(kind for kind, known in _STATUSES.items() if shown.keys() <= known)
    rows = ((name, _meaning(name, value, enums)) for name, value in shown.items() if value is not None)
    return align([(*_names(name), text) for name, text in rows])


def _names(name: str) -> tuple[str, ...]:
    """A field's name in Chinese and as the protocol has it, or the one that is asked for."""
    chinese = words.LABELS.get(name, "")
    if language() is Language.BOTH:
        return chinese, name
    return (words.label(name),)


def text_of(name: str, value: object) -> str:
    match value:
        case Enum():
            return words.word_of(type(value).__name__, value.value)
        case None:
            return "-"
        case datetime():
            return local_time(value)
        case frozenset() | tuple():
            return ", ".join(sorted(map(str, value)))
        case _:
            return _meaning(name, value, ())


def decision_lines(ruling: Ruling) -> Iterator[str]:
    """A refusal by policy: which policy, why, and what would make it lawful."""
    version = ruling.agreement_version
    under = said(f"协议第 {version} 版|agreement version {version}")
    yield f"{titled('拒绝|refused')}{', '.join(ruling.policies)}  {punctuated(f'({under})')}"
    yield said(f"  {ruling.title_zh} | {ruling.title_en}")
    yield from way_lines(ruling.explanation_zh, ruling.explanation_en)


def way_lines(chinese: str, english: str) -> Iterator[str]:
    if chinese or english:
        yield titled("如何才合法|what would make it lawful").rstrip()
    for clause in zip(chinese.splitlines(), english.splitlines(), strict=False):
        yield from (f"  {' ' if place else '-'} {said}" for place, said in enumerate(sentences(*clause)))


def _cell(value: T, column: str | tuple[str, Callable[[T], str]]) -> str:
    if isinstance(column, str):
        return text_of(column, getattr(value, column))
    return column[1](value)


def _meaning(name: str, value: object, statuses: Sequence[str]) -> str:
    text = str(value)
    if name in _DIVISIONS:
        from federation.domain.division import format_division_path

        return f"{text} {format_division_path(text)}".rstrip()
    if name == "status":
        meant = {words.word_of(enum, text) for enum in statuses if text in words.WORDS[enum]}
        return meant.pop() if len(meant) == 1 else text
    return words.word_of(_ENUMS[name], text) if name in _ENUMS else text
