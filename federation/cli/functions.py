"""`bridgehead function`: the joint functions (职能清单), what is behind each, and which offices may hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import Struct

from federation.cli.options import Form, FormOption, show_in
from federation.cli.show import JsonOut, align, pick, to_json
from federation.cli.words import pair, said
from federation.domain.functions import FUNCTIONS_FILE, FunctionRegister, JointFunction, parse_functions
from federation.domain.reports import purposes_of
from federation.protocol.errors import NotFoundError

app = typer.Typer(name="function", no_args_is_help=True, help="The joint functions (职能清单): what is behind each.")

DEPARTMENTS: Final[Mapping[str, str]] = {
    "公安": "public security",
    "综治": "governance",
    "市监": "market regulation",
    "应急": "emergency management",
    "司法行政": "justice",
    "生态环境": "ecology",
}
PoliciesOption = Annotated[Path, typer.Option("--policies", help="The folder of policy files.")]
_PROCEDURES: Final = "policies/procedures/"


class Behind(Struct, frozen=True, kw_only=True):
    """The part of a function that this version carries: its messages and procedures; the rest is planned."""

    function: JointFunction
    kinds: tuple[str, ...]
    procedures: tuple[str, ...]
    planned: tuple[str, ...]
    held_by: tuple[str, ...]

    @property
    def works(self) -> bool:
        return bool(self.kinds or self.procedures)


@app.callback()
def functions() -> None:
    """The joint functions, as the provinces register them."""


@app.command("list")
def list_functions(policies: PoliciesOption = Path("policies"), form: FormOption = Form.TEXT) -> None:
    """List the joint functions with what is behind each, or that it is planned; then every registered purpose."""
    from federation.cli.help import PACKAGE, kept
    from federation.node.home.files import read_policies

    files = read_policies(policies)
    register = load_register(files)
    folders = ("node", *(str(each.relative_to(PACKAGE)) for each in sorted(PACKAGE.glob("node/*/"))))
    behind = what_is_behind(register, files, kinds=frozenset(kept("kinds", _kinds, sources=folders)))
    purposes = purposes_of(files)
    listed: JsonOut = [{"purpose": name, "zh": zh, "en": en} for name, (zh, en) in purposes.items()]
    data = pick(register, "version", "official") | {"functions": to_json(behind), "purposes": listed}
    show_in(form, data, [*_lines(behind), *_purpose_lines(purposes)])


@app.command("kinds")
def list_kinds(policies: PoliciesOption = Path("policies"), form: FormOption = Form.TEXT) -> None:
    """List the kinds of agency: who acts for an office of each, and which functions it may hold."""
    from federation.node.home.files import read_policies

    kinds = load_register(read_policies(policies)).agency_kinds.values()
    rows = [(one.kind, f"{one.name} | {one.name_en}", one.officers, " ".join(one.functions)) for one in kinds]
    show_in(
        form,
        to_json(list(kinds)),
        align([("kind", "单位类别", said("由谁办理|who acts"), said("职能|functions")), *rows]),
    )


def _kinds() -> dict[str, str]:
    """The kinds of message of this version, as the node has them; its code takes more than a second to load."""
    from federation.node.features import KINDS

    return {name: kind.media_type for name, kind in KINDS.items()}


def load_register(files: Mapping[str, bytes]) -> FunctionRegister:
    content = files.get(FUNCTIONS_FILE)
    if content is None:
        raise NotFoundError("FUNCTIONS_MISSING", f"expected {FUNCTIONS_FILE} among the policies")
    return parse_functions(content.decode(errors="replace"))


def what_is_behind(register: FunctionRegister, files: Iterable[str], *, kinds: frozenset[str]) -> list[Behind]:
    """Returns what is behind each function, in the order of their codes. `kinds`: messages of this version."""
    there = {path.removeprefix(_PROCEDURES).removesuffix(".toml") for path in files if path.startswith(_PROCEDURES)}
    return [
        Behind(
            function=function,
            kinds=tuple(name for name in function.item_types if name in kinds),
            procedures=tuple(name for name in function.procedures if name in there),
            planned=tuple(name for name in (*function.item_types, *function.procedures) if name not in kinds | there),
            held_by=tuple(name for name, kind in register.agency_kinds.items() if code in kind.functions),
        )
        for code, function in sorted(register.functions.items())
    ]


def _purpose_lines(purposes: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    yield said("已登记的用途|registered purposes")
    yield from align([(f"    {name}", pair(zh, en)) for name, (zh, en) in sorted(purposes.items())])


def _lines(behind: list[Behind]) -> Iterator[str]:
    for one in behind:
        function = one.function
        department = DEPARTMENTS.get(function.department, function.department)
        yield f"{function.code}  {function.department}  {function.name} | {department}: {function.name_en}"
        rows = [
            (f"    {said('消息|messages')}", ", ".join(one.kinds)),
            (f"    {said('程序|procedures')}", ", ".join(one.procedures)),
            (
                f"    {said('规划中|planned')}",
                ", ".join(one.planned) or ("" if one.works else said("尚无|nothing named yet")),
            ),
            (f"    {said('依据|basis')}", function.legal_basis),
            (f"    {said('单位|agencies')}", ", ".join(one.held_by)),
        ]
        yield from align([row for row in rows if row[1]])
