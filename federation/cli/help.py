"""Help screens: what a command is for, who may use it, what it needs and takes, with examples, in plain lines.

The screens of a part are made from its commands, whose code is loaded for it, and kept in the user's cache as JSON;
they are made anew when a source file changed, so that they are never older than the commands. What cannot be kept is
made each time. Completion reads the same screens.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from federation.cli.words import Language, cells, chinese_help, choose, language, punctuated, said
from federation.protocol.unseen import late

if TYPE_CHECKING:
    from typer._click.core import Command, Context, Parameter

    from federation.wire.rpc import Rpc

PACKAGE: Final = Path(__file__).parents[1]
_SOURCES: Final = ("cli", "cli/demo", "cli/chinese", "domain", "wire", "wire/agency")
_WIDTHS: Final = (60, 100)
_COLUMN: Final = 30
_WORD: Final = late("[\u2e80-\uffff][，。；：、）》？！”]*|[^\\s\u2e80-\uffff]+[，。；：、）》？！”]*|\\s+")
"""What is not parted at the end of a line: a word, or a Chinese sign with the punctuation behind it."""
Screen = Mapping[str, Any]
T = TypeVar("T")


def find_help(given: Sequence[str], parts: Mapping[str, tuple[str, str]]) -> tuple[str, int] | None:
    """The help that is asked for and its exit code; 2 where a command is missing; None when no help is asked for."""
    words: list[str] = []
    for word in given:
        if word.startswith("-"):
            break
        words.append(word)
    asked = "--help" in (given[: given.index("--")] if "--" in given else given)
    if not asked and (len(words) < len(given) or len(words) > 3):
        return None
    if words and words[0] not in parts:
        return None
    screens = read_screens(words[0] if words else "", parts)
    found = max((n for n in range(len(words) + 1) if " ".join(words[:n]) in screens), default=0)
    name = " ".join(words[:found])
    screen = screens[name]
    if screen["commands"] and found < len(words):
        return None  # no such command: typer says so
    if not asked and not screen["needs_command"]:
        return None
    return "\n".join(_lines(f"bridgehead {name}".rstrip(), screen)) + "\n", 0 if asked else 2


# ---- kept


def read_screens(part: str, parts: Mapping[str, tuple[str, str]]) -> Mapping[str, Screen]:
    """The screens of a part by the command's words; those of the whole for the empty name."""
    return kept(f"help-{part or 'all'}", lambda: _make(part, parts), sources=_SOURCES)


def kept(name: str, make: Callable[[], dict[str, T]], *, sources: Iterable[str]) -> Mapping[str, T]:
    """Returns what `make` makes, or made before, when no file of these folders of the package changed since."""
    stamp, path = _stamp(sources), _cache(name)
    with suppress(OSError, ValueError, LookupError, TypeError):
        found = json.loads(path.read_bytes())
        if found["stamp"] == stamp and isinstance(found["made"], dict):
            before: Mapping[str, T] = found["made"]
            return before
    made = make()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"stamp": stamp, "made": made}), encoding="utf-8")
        unfinished.replace(path)
    return made


def _cache(name: str) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bridgehead"
    return folder / f"{name}-{sha256(str(PACKAGE).encode()).hexdigest()[:12]}.json"


def _stamp(sources: Iterable[str]) -> str:
    """A digest that changes whenever a source file does."""
    seen = sha256()
    for name in sources:
        with os.scandir(PACKAGE / name) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith((".py", ".toml")):
                    stat = entry.stat()
                    seen.update(f"{name}/{entry.name} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return seen.hexdigest()


# ---- made


def _make(part: str, parts: Mapping[str, tuple[str, str]]) -> dict[str, Screen]:
    from typer._click.core import Context

    from federation.cli import tree

    whole = tree.whole()
    context = Context(whole, info_name="bridgehead")
    if not part:
        listed = [(name, _pair(sentence)) for name, (_, sentence) in parts.items()]
        return {"": _screen(whole, context, "", listed)}
    return dict(_walk(whole.commands[part], context, part))


def _walk(command: Command, context: Context, name: str) -> Iterator[tuple[str, Screen]]:
    from typer._click.core import Context

    own = Context(command, info_name=name.rpartition(" ")[2], parent=context)
    inner: Mapping[str, Command] = getattr(command, "commands", {})
    listed = [(each, _pair(_first(one.help))) for each, one in inner.items() if not one.hidden]
    yield name, _screen(command, own, name, listed)
    for each, one in inner.items():
        if not one.hidden:
            yield from _walk(one, own, f"{name} {each}")


def _first(text: str | None) -> str:
    return (text or "").partition("\n\n")[0]


def _pair(english: str | None) -> Sequence[str]:
    plain = " ".join((english or "").split())
    return chinese_help(plain), plain


def _screen(command: Command, context: Context, name: str, listed: Sequence[tuple[str, Sequence[str]]]) -> Screen:
    from federation.cli.words import examples

    panels: dict[str, list[tuple[str, Sequence[str], list[tuple[str, str]]]]] = {}
    for param in command.get_params(context):
        if not getattr(param, "hidden", False):
            argument = param.param_type_name == "argument"
            panel = "Arguments" if argument else getattr(param, "rich_help_panel", None) or "Options"
            row = (_spelling(param, context), _pair(getattr(param, "help", "")), list(_details(param, context)))
            panels.setdefault(panel, []).append(row)
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    pieces = ["[OPTIONS]", *(_usage(param) for param in arguments), *(["COMMAND [ARGS]..."] if listed else [])]
    return {
        "usage": " ".join(pieces),
        "help": [_pair(paragraph) for paragraph in (command.help or "").split("\n\n")],
        "who": [] if listed else list(_who(command)),
        "examples": examples(name),
        "panels": [(_pair(title), rows) for title, rows in panels.items()],
        "commands": listed,
        "needs_command": bool(listed) and not getattr(command, "invoke_without_command", False),
    }


def _usage(param: Parameter) -> str:
    name: str = getattr(param, "display_name_raw", "") + ("..." if param.nargs != 1 else "")
    return name if param.required or name.startswith("[") else f"[{name}]"


def _spelling(param: Parameter, context: Context) -> str:
    """`-o, --output <text|json>`."""
    kind: Any = param
    if param.param_type_name == "argument":
        return str(kind.display_name_raw) + ("..." if param.nargs != 1 else "")
    names = ", ".join([*param.opts, *param.secondary_opts])
    return names if kind.is_flag else f"{names} {kind.metavar or kind.display_type(context)}"


def _details(param: Parameter, context: Context) -> Iterator[tuple[str, str]]:
    kind: Any = param
    if param.required:
        yield "必填|required", ""
    if kind.type_descriptor.is_ranged:
        low, high = ("" if each is None else f"{each:g}" for each in (kind.min, kind.max))
        yield "范围|range", f"{low}..{high}"
    default = kind.get_default(context, call=False)
    if default not in (None, False, "", [], ()) and not param.required:
        yield "默认|default", str(default)
    if kind.envvar:
        yield "环境变量|env var", str(kind.envvar)


# ---- who may use it

_KINDS: Final = {
    "police": "公安机关|police",
    "service-hall": "政务服务中心|service halls",
    "market": "市场监督管理局|market regulators",
    "audit": "审计机关|audit offices",
    "procuratorate": "人民检察院|procuratorates",
}


_OF_CASE: Final = "dispute.mediation"
"""Named by the commands of joint cases, each of which is acted in for its own procedure."""


def _who(command: Command) -> Iterator[str]:
    """The offices that may use a command and what they need, by its options and by the RPCs that its code names."""
    from federation.domain.reports import purpose_words

    callback = getattr(command.callback, "__wrapped__", command.callback)
    run = getattr(callback, "run", callback)
    options = {param.name for param in command.params}
    if {"client", "agency"} <= options:
        rpcs = list(_rpcs(run, 3))
        kinds = {kind for rpc in rpcs for kind in rpc.kinds or ()}
        offices = [_KINDS.get(kind, f"{kind}|{kind}").split("|") for kind in sorted(kinds)]
        chinese = "、".join(zh for zh, _ in offices) or "协议中的单位"
        english = ", ".join(en for _, en in offices) or "offices of the agreement"
        purpose, _ = getattr(callback, "usual", ("", ""))
        chinese_purpose, english_purpose = (purpose_words(purpose)[0], purpose)
        if purpose == _OF_CASE:
            chinese_purpose, english_purpose = "案件的程序所定", "that of the case's procedure"
        acts = f"（用途：{chinese_purpose}）" if purpose else ""
        for_what = f" (purpose: {english_purpose})" if purpose else ""
        yield f"{chinese}{acts}，由规则按协议裁决 | {english}{for_what}; policy decides under the agreement"
        if any(rpc.administers for rpc in rpcs):
            yield "须有：本单位密钥管理员的密钥 | needs: the key of an administrator of keys of the office"
        elif not rpcs or not all(rpc.unsigned for rpc in rpcs):
            yield "须有：本单位配置、已登记的本人密钥、运行中的本省节点 | needs: the office's profile, your registered key, your node at work"  # noqa: E501 - one sentence
        else:
            yield "须有：本单位配置、运行中的本省节点 | needs: the office's profile, your node at work"
    elif any(param.opts == ["--home"] and param.name == "home" for param in command.params):
        yield "节点管理员，在有节点目录的机器上 | the node's operator, where the node's home is"
    else:
        yield "任何人，不需要节点 | anybody; no node is needed"


def _rpcs(run: Any, deep: int) -> Iterator[Rpc[Any, Any]]:  # noqa: ANN401 - a function of any command
    """The RPCs that a function names, and those of the functions of the commands that it names."""
    from federation.wire.rpc import Rpc

    known = getattr(run, "__globals__", {})
    names = _names(getattr(run, "__code__", None))
    modules = [vars(known[name]) for name in names if type(known.get(name)) is type(re)]
    for name in names:
        for found in (space[name] for space in (known, *modules) if name in space):
            if isinstance(found, Rpc):
                yield found
            elif deep and str(getattr(found, "__module__", "")).startswith("federation.cli"):
                yield from _rpcs(found, deep - 1)


def _names(code: CodeType | None) -> Sequence[str]:
    """The names in the code, and in that of the functions within it."""
    if code is None:
        return ()
    within = [name for each in code.co_consts if isinstance(each, CodeType) for name in _names(each)]
    return (*code.co_names, *within)


# ---- shown


def _lines(name: str, screen: Screen) -> Iterator[str]:
    low, high = _WIDTHS
    width = max(low, min(high, shutil.get_terminal_size((high, 24)).columns))
    head = said("用法|Usage") + ("：" if language() is Language.CHINESE else ": ")
    usage = _PLACE.sub(lambda found: _bracketed(found[0]), screen["usage"])
    yield from _folded(f"{head}{name} {usage}", width, "  ")
    for pair in screen["help"]:
        yield ""
        yield from _folded(f"  {choose(*pair)}", width, "  ")
    if screen["who"]:
        yield from ("", said("谁可以用|Who may use it"))
        for sentence in screen["who"]:
            yield from _folded(f"  {said(sentence)}", width, "  ")
    if screen["examples"]:
        yield from ("", said("示例|Examples"), *(f"  {each}" for each in screen["examples"]))
    for title, rows in screen["panels"]:
        yield from ("", choose(*title, word=True))
        for spelling, pair, details in rows:
            shown = punctuated("; ").join(f"{said(what)} {value}".rstrip() for what, value in details)
            behind = f"  [{shown}]" if shown else ""
            yield from _row(_in_words(spelling), f"{choose(*pair)}{behind}".strip(), width)
    if screen["commands"]:
        yield from ("", said("命令|Commands"))
        for spelling, pair in screen["commands"]:
            yield from _row(spelling, choose(*pair), width, column=16)


_VALUES: Final = {
    "<str>": "<文字|text>",
    "<path>": "<文件|file>",
    "<float range>": "<数|number>",
    "<int>": "<整数|number>",
    "<int range>": "<整数|number>",
    "<list[str]>": "<文字…|text...>",
    "<list[Path]>": "<文件…|file...>",
    "<list[int]>": "<整数…|number...>",
    "<%Y-%m-%d>": "<年-月-日|YYYY-MM-DD>",
    "<%Y-%m-%d %H:%M|%Y-%m-%dT%H:%M>": "<日期和时刻|YYYY-MM-DDTHH:MM>",
}
"""By the code's name of a value: what is typed there. Words to choose from, and NAME=VALUE, stay as they are."""


_PLACE: Final = re.compile(r"\[?[A-Za-z][A-Za-z_-]*\]?")
_LAST_PLACE: Final = re.compile(r"(?<![^ ])\[?[A-Za-z][A-Za-z_-]*\]?(?=(\.\.\.)?$)")
"""Of the row of an argument all of it; of an option what stands behind its names."""


def _in_words(spelling: str) -> str:
    for raw, value in _VALUES.items():
        if spelling.endswith(f" {raw}"):
            return f"{spelling.removesuffix(raw)}<{said(value[1:-1])}>"
    return _LAST_PLACE.sub(lambda found: _bracketed(found[0]), spelling)


def _bracketed(name: str) -> str:
    """The name of a place in words: `<席位>`, in English `DESK`; what may be left out in its own brackets."""
    plain = name.strip("[]")
    chinese, word = chinese_help(plain.upper()), plain.upper()
    word = said(f"{chinese}|{word}") if chinese else word
    if name.startswith("["):
        return f"[{word}]"
    return word if word == plain.upper() else f"<{word}>"


def _row(spelling: str, text: str, width: int, *, column: int = _COLUMN) -> Iterator[str]:
    head = f"  {spelling}"
    if cells(head) > column - 2:
        yield head
        head = ""
    head += " " * (column - cells(head))
    yield from _folded(f"{head}{text}", width, " " * column) if text else [head.rstrip()]


def _folded(text: str, width: int, margin: str) -> Iterable[str]:
    """The text in lines of that many cells; what follows the first has the margin."""
    start = text[: len(text) - len(text.lstrip())]
    line, length, lines = start, len(start), []
    for word in _WORD.findall(text[len(start) :]):
        if length + cells(word.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line, length = margin, len(margin)
        if not (word.isspace() and not line.strip()):
            line, length = line + word, length + cells(word)
    return [*lines, line.rstrip()]
