"""The fields of an application as options of a command: what a clerk types, by field name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.cli.permits.rows import Texts, read_application
from federation.domain.citizen_number import Sex
from federation.domain.permit import Ground, Paper

_PANEL = "The application (申请)"


def _option(name: str, sentence: str, *, metavar: str | None = None) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, help=sentence, metavar=metavar, rich_help_panel=_PANEL)
    return found


def gather_texts(
    *,
    file: Annotated[Path | None, _option("--from", "JSON or TOML with these fields; - is JSON on stdin.")] = None,
    holder_name: Annotated[str | None, _option("--name", "姓名.")] = None,
    citizen_number: Annotated[str | None, _option("--citizen-number", "公民身份号码, 18 characters.")] = None,
    sex: Annotated[Sex | None, _option("--sex", "性别 (as the number says).")] = None,
    ethnicity: Annotated[str | None, _option("--ethnicity", "民族, e.g. 汉.")] = None,
    birth_date: Annotated[str | None, _option("--birth-date", "出生日期 (as the number says).")] = None,
    photo_digest: Annotated[str | None, _option("--photo-digest", "照片摘要: SHA-256 in hex.")] = None,
    household_division: Annotated[str | None, _option("--household", "户籍地, six digits.")] = None,
    household_address: Annotated[str | None, _option("--household-address", "户籍地址.")] = None,
    residence_division: Annotated[str | None, _option("--residence", "居住地 (the agency's county).")] = None,
    residence_address: Annotated[str | None, _option("--residence-address", "居住地址.")] = None,
    work_division: Annotated[str | None, _option("--work", "工作地, six digits.")] = None,
    issuer: Annotated[str | None, _option("--issuer", "签发机关 (the county's police).")] = None,
    ground: Annotated[Ground | None, _option("--ground", "居住事由: 就业, 住所, 就读.")] = None,
    residence_since: Annotated[str | None, _option("--since", "居住起始日, e.g. 2026-01-05.")] = None,
    apply_date: Annotated[str | None, _option("--applied", "申请日期 (today).")] = None,
    accept_date: Annotated[str | None, _option("--accepted", "受理日期 (today).")] = None,
    papers: Annotated[
        list[Paper] | None, _option("--paper", f"提交材料; repeat for each: {', '.join(Paper)}.", metavar="PAPER")
    ] = None,
    guardian: Annotated[bool, _option("--guardian", "监护人代办.")] = False,
    sealed: Annotated[bool, _option("--sealed", "封存: leaves the province for nobody.")] = False,
) -> Texts:
    """Gathers what was typed over what the file says; a field that neither has is absent.

    Raises:
        NotFoundError, MalformedError: as `read_application`.
    """
    typed = {name: value for name, value in locals().items() if value and name != "file"}  # the options, all of them
    texts = {name: _text_of(value) for name, value in typed.items()}
    return (read_application(file) if file else {}) | texts


def _text_of(value: str | bool | list[Paper]) -> str:
    if isinstance(value, list):
        return ";".join(value)
    return value if isinstance(value, str) else "true"
