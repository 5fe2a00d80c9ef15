"""The tree of commands: a part is loaded, and a group or a command of it built, when it is named, and no other is.

What is typed is read here, too: text, figures, paths, moments and words of an enum, in either language.
Rules kept: nothing that a command does not need is loaded for it, pydantic for no option at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from functools import cached_property, partial
from importlib import import_module
from inspect import Parameter, Signature, isfunction, signature
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer
import typer.core
from typer._click.core import Command, Context
from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param
from typer.core import TyperGroup
from typer.main import (
    get_command_from_info,
    get_command_name,
    get_group_from_info,
    get_install_completion_arguments,
    solve_typer_info_defaults,
)
from typer.models import CommandInfo, TyperInfo

from federation.cli.main import PARTS, VERSION, WITHIN
from federation.protocol.unseen import late


class Built(MutableMapping[str, Command]):
    """Commands by name, each built when it is looked up."""

    def __init__(self, makers: Mapping[str, Callable[[], Command]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._makers[name] = lambda: command

    def __delitem__(self, name: str) -> None:
        del self._makers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def group_of(info: TyperInfo, name: str) -> TyperGroup:
    """The group of a part or within one, its commands still to be built."""
    app = info.typer_instance
    if app is None:
        raise TypeError("expected a part")
    bare, alone = copy(info), copy(app)
    alone.registered_commands, alone.registered_groups = [], []
    bare.typer_instance = alone
    group = get_group_from_info(bare, pretty_exceptions_short=False, suggest_commands=True, rich_markup_mode=None)
    group.name = name
    makers: dict[str, Callable[[], Command]] = {}
    for one in app.registered_commands:
        called = one.name or get_command_name(getattr(one.callback, "__name__", ""))
        makers[called] = partial(_command_of, one)
    for inner in app.registered_groups:
        called = str(solve_typer_info_defaults(inner).name)
        makers[called] = partial(group_of, inner, called)
    group.commands = Built(makers)
    return group


def _command_of(info: CommandInfo) -> Command:
    return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def _part(name: str) -> TyperGroup:
    group = _loaded(PARTS[name][0], name)
    here = {each: partial(group.commands.__getitem__, each) for each in group.commands}
    group.commands = Built({**here, **{each: partial(_within, at, each) for each, at in WITHIN.get(name, {}).items()}})
    return group


def _within(place: str, name: str) -> Command:
    group = _loaded(place, name)
    return group.commands.get(name, group)


def _loaded(place: str, name: str) -> TyperGroup:
    module, _, attribute = place.rpartition(".")
    return group_of(TyperInfo(getattr(import_module(f"federation.cli.{module}"), attribute)), name)


app = typer.Typer(name="bridgehead", no_args_is_help=True)


def _show_version(value: bool) -> None:
    if value:
        print(f"bridgehead {VERSION}")
        raise typer.Exit


@app.callback()
def bridgehead(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Bridgehead (桥头堡): residence permits and joint work between neighbouring provinces.

    Exit codes: 0 done, 1 refused or not verified, 2 usage, 3 unreachable.
    """


def whole() -> TyperGroup:
    """The whole tree, of which nothing is loaded yet."""
    group = group_of(TyperInfo(app), "bridgehead")
    group.params.extend(get_install_completion_arguments())
    group.commands = Built({name: partial(_part, name) for name in PARTS})
    return group


class Gathered:
    """A command as typer sees it: its own options and those that its parameters stand for, found when it is asked."""

    def __init__(
        self,
        run: Callable[..., None],
        shared: Mapping[str, Callable[..., object]],
        *,
        without: str,
        usual: tuple[str, str],
    ) -> None:
        self.__name__, self.__doc__, self.__module__ = run.__name__, run.__doc__, run.__module__
        self.run, self._shared, self.usual, self._without = run, shared, usual, without

    @cached_property
    def _own(self) -> Mapping[str, Parameter]:
        return signature(self.run, eval_str=True).parameters

    @cached_property
    def _options(self) -> Mapping[str, Sequence[Parameter]]:
        """By parameter, the options from which it is made."""
        makers = {each: maker for each, maker in self._shared.items() if each in self._own}
        return {
            each: [one for one in signature(maker, eval_str=True).parameters.values() if one.name != self._without]
            for each, maker in makers.items()
        }

    @cached_property
    def __signature__(self) -> Signature:
        found = [each for each in self._own.values() if each.name not in self._options]
        found += (option for options in self._options.values() for option in options)
        return Signature([each.replace(kind=each.KEYWORD_ONLY) for each in found])

    def __getattr__(self, name: str) -> object:
        if name == "__annotations__":
            return {each.name: each.annotation for each in self.__signature__.parameters.values()}
        raise AttributeError(name)

    def _read(self, name: str, value: object, doubts: list[str]) -> object:
        """Returns what was typed in its written form: by the function beside the option, else as free text."""
        reads = filter(isfunction, getattr(self._own[name].annotation, "__metadata__", ()))
        read = next(reads, None)
        if read is None or value is None:
            return _as_written(name, value, doubts)
        return [read(each) for each in value] if isinstance(value, list) else read(value)

    def __call__(self, **given: object) -> None:
        from federation.protocol.form import replace

        made = {
            each: self._shared[each](**{option.name: given.pop(option.name) for option in options})
            for each, options in self._options.items()
        }
        doubts: list[str] = []
        typed = {each: self._read(each, value, doubts) for each, value in given.items()}
        if "desk" in made:
            made["desk"] = replace(made["desk"], usual=self.usual, doubts=tuple(doubts))
        self.run(**made, **typed)


def _as_written(name: str, value: object, doubts: list[str]) -> object:
    """Returns what was typed in the form in which it is signed; what looks like another character is told."""
    from federation.cli import show
    from federation.cli.words import LOOK_ALIKE, label, punctuated, said, titled
    from federation.protocol.unseen import find_doubtful, written

    if isinstance(value, list):
        return [_as_written(name, each, doubts) for each in value]
    if type(value) is not str:  # a path stays as it is, and the word of an enum
        return value
    if (sign := find_doubtful(value)) is not None:
        doubts.append(f"{titled('请核对|please check')}{label(name)} {sign}{punctuated(': ')}{said(LOOK_ALIKE)}")
        show.say(doubts[-1])
    return written(value)


# ---- what is typed

_UUID: Final = late("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ALERT: Final = late("([0-9]{12}[0-9A-Z]{2})[-_]?([0-9]{14})[-_]?([0-9])")
_LONG_NUMBER: Final = late("[0-9]{17}[0-9X]?")


def identifier(given: str) -> str:
    """The name of a case, an alert, a permit, an office or a message as it is written, however it was typed.

    Wide signs, blanks, the dashes of paper and case are undone: capitals, but small letters in what has a `/` or a `:`,
    or is a UUID; a number of 17 or 18 digits without its hyphens, a permit as `normalise_permit_urn` has it.
    """
    from federation.cli.words import condensed, plain
    from federation.domain.permits import normalise_permit_urn

    text = "".join(plain(given).split())
    if text[:4].lower() == "urn:":
        return normalise_permit_urn(text)
    if "/" in text or ":" in text or _UUID.fullmatch(text):
        return text.lower()
    if number := _ALERT.fullmatch(text.upper()):
        return "_".join(number.groups())
    return condensed(text) if _LONG_NUMBER.fullmatch(condensed(text)) else text.upper()


def small(given: str) -> str:
    """The same in small letters: the name of an entry, which is hexadecimal, or of a desk."""
    return identifier(given).lower()


@dataclass(frozen=True)
class _Typed(RuntimeParam):
    """Reads what was typed for an option or an argument, and refuses it in both languages."""

    read: Callable[[Any], Any]

    def _coerce_value(self, value: Any, param: Any, ctx: Context) -> Any:  # noqa: ANN401 - any option's
        try:
            return [self.read(each) for each in value] if isinstance(value, list | tuple) else self.read(value)
        except ValueError as error:
            named = " | ".join(f"{param.get_error_hint()} {half}" for half in str(error).split(" | "))
            raise typer.BadParameter(named, ctx=ctx, param=param) from error


def _read_as(descriptor: TypeDescriptor) -> RuntimeParam:
    """In the place of typer's own, which loads pydantic: what is not read below is left to it."""
    info, kind = descriptor.parameter_info, descriptor.annotation
    typed: Any = get_args(kind)[0] if descriptor.is_list else kind
    read: Callable[[Any], Any] | None = _SIMPLE.get(typed)
    if typed in (int, float):
        read = partial(_figure, typed, info.min, info.max)
    elif typed is datetime and info.formats:
        read = partial(_moment, tuple(info.formats))
    elif isinstance(typed, type) and issubclass(typed, StrEnum):
        read = partial(_word, typed)
    return build_runtime_param(descriptor) if read is None else _Typed(info, kind, read)


setattr(typer.core, "build_runtime_param", _read_as)  # noqa: B010 - typer does not say that it has it


def _switch(value: object) -> bool:
    return value is True or str(value).strip().lower() in {"1", "true", "yes"}


def _path(text: object) -> Path:
    try:
        return Path(str(text)).expanduser()  # a shell leaves `--home=~/x` to us
    except RuntimeError as error:
        raise ValueError(f"没有这个用户的目录 | nobody's home: {text}") from error


def _figure(kind: type[int | float], least: float | None, most: float | None, text: str | float) -> float:
    try:
        figure = kind(text)
    except (TypeError, ValueError):
        whole = ("整数", "a whole number") if kind is int else ("数字", "a number")
        raise ValueError(f"须为{whole[0]} | expected {whole[1]}") from None
    low, high = (least if least is not None else "-", most if most is not None else "-")
    if not (least is None or figure >= least) or not (most is None or figure <= most):  # NaN is in no range
        raise ValueError(f"须在 {low} 至 {high} 之间 | expected {low} to {high}")
    return figure


def _moment(formats: tuple[str, ...], text: object) -> datetime:
    if isinstance(text, datetime):
        return text
    for form in formats:
        try:
            return datetime.strptime(str(text), form)  # noqa: DTZ007 - the command says in which zone
        except ValueError:
            continue
    shown = ", ".join(f"{datetime(2026, 4, 4, 10, 15):{form}}" for form in formats)  # noqa: DTZ001 - an example
    raise ValueError(f"写作 {shown} | write it as {shown}")


def _word(kind: type[StrEnum], text: object) -> Enum:
    from federation.cli.words import WORDS

    meant = WORDS.get(kind.__name__, {})
    given = str(text).strip()
    for each in kind:
        if given.lower() == each.value.lower() or given == meant.get(each.value):
            return each
    chinese, english = "、".join(meant.get(each.value, each.value) for each in kind), ", ".join(kind)
    raise ValueError(f"须为其中之一：{chinese} | expected one of: {english}")


_SIMPLE: Final[Mapping[object, Callable[[Any], Any]]] = {str: str, Path: _path, bool: _switch}
