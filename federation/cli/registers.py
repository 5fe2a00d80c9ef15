"""`bridgehead vehicle|enterprise`: the county's own registers (机动车登记, 经营主体登记)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Generic, TypeVar

import typer
from msgspec import Struct

from federation.cli import rows, words
from federation.cli.imports import Import, Importing, RowResult, open_import, standing_row
from federation.cli.options import Desk, FullOption, command
from federation.cli.rows import AcceptOption, Field, Sheet, Texts, constant, read_accepted, settle_doubts
from federation.cli.show import card, to_json
from federation.cli.words import said
from federation.domain.plates import PLATE_CLASS_CODES, PlateClass, normalise_plate, usual_class
from federation.domain.registers import (
    REGISTER_FUNCTION,
    REGISTER_PURPOSE,
    DossierKind,
    Enterprise,
    EnterpriseStatus,
    Vehicle,
    VehicleStatus,
    verify_enterprise,
    verify_vehicle,
)
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import Realm
from federation.wire.agency import registers as wire
from federation.wire.rpc import Ruling

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act, Rpc

vehicles = typer.Typer(name="vehicle", no_args_is_help=True, help="Vehicles (机动车) of the own county.")
enterprises = typer.Typer(name="enterprise", no_args_is_help=True, help="Enterprises (经营主体) of the own county.")

Fact = TypeVar("Fact", Vehicle, Enterprise)
_PANEL: Final = "The record (登记内容)"


class Register(Struct, Generic[Fact], frozen=True, kw_only=True):
    kind: DossierKind
    key: str
    county: str
    status: str
    sheet: Sheet[Fact]
    judge: Callable[[Fact, Realm, date], Fact]
    registering: Rpc[tuple[Fact, ...], tuple[wire.RegisteredRow, ...]]
    reading: Rpc[str, wire.RegisterReading]

    def act(self, desk: Desk) -> Act:
        return desk.act(REGISTER_PURPOSE[self.kind], REGISTER_FUNCTION[self.kind])


def _plate_class(given: str) -> object:
    """The class by its name, in either language, or by its number in GA/T 16.7."""
    return _CLASSES.get(words.plain(given).zfill(2)) or rows.one_of(PlateClass)(given)


_CLASSES: Final = {number: each for each, number in PLATE_CLASS_CODES.items()}
VEHICLES: Final = Register(
    kind=DossierKind.VEHICLE,
    key="plate",
    county="registered_division",
    status="VehicleStatus",
    sheet=Sheet(
        labels=words.VEHICLE_FIELDS,
        make=Vehicle,
        reason="REGISTER_FIELD",
        fields={
            "plate": Field(read=normalise_plate),
            "plate_class": Field(
                read=_plate_class, usual=lambda found: usual_class(str(found["plate"])), option="--class",
                help="The class of plate, such as small_car, 警用汽车 or 23 (as its form says; small_car).",
            ),
            "brand_model": Field(read=rows.Words(100), option="--brand-model", help="The make and model."),
            "colour": Field(read=rows.Words(100), option="--colour", help="The colour."),
            "status": Field(
                read=rows.one_of(VehicleStatus), usual=constant(VehicleStatus.NORMAL), option="--status",
                help="The status, such as normal, stolen, transferred (normal).",
            ),
            "registered_division": Field(read=rows.division),
            "first_registered": Field(read=rows.day, option="--first-registered", help="First registered: a day."),
            "keeper": Field(read=rows.code, option="--keeper", help="The keeper: a citizen number or a USCC."),
            "permit": Field(
                read=rows.PERMIT_NAME,
                usual=constant(None), option="--permit", help="The residence permit that it rests on.",
            ),
            "sealed": Field(
                read=rows.yes, usual=constant(False), option="--sealed", kind=bool,
                help="Sealed: it answers no look-up.",
            ),
        },
    ),
    judge=lambda vehicle, realm, today: verify_vehicle(vehicle, realm, today=today),
    registering=wire.REGISTER_VEHICLES,
    reading=wire.GET_VEHICLE,
)  # fmt: skip
ENTERPRISES: Final = Register(
    kind=DossierKind.ENTERPRISE,
    key="uscc",
    county="division",
    status="EnterpriseStatus",
    sheet=Sheet(
        labels=words.ENTERPRISE_FIELDS,
        make=Enterprise,
        reason="REGISTER_FIELD",
        fields={
            "uscc": Field(read=rows.code),
            "name": Field(read=rows.Words(100, is_name=True), option="--name", help="The name of the enterprise."),
            "division": Field(read=rows.division),
            "status": Field(
                read=rows.one_of(EnterpriseStatus), usual=constant(EnterpriseStatus.ACTIVE), option="--status",
                help="The status, such as active, revoked (active).",
            ),
            "registered_on": Field(read=rows.day, option="--registered-on", help="The day of the registration."),
            "legal_form": Field(read=rows.Words(100), option="--legal-form", help="The legal form (组织形式)."),
            "legal_representative": Field(
                read=rows.Words(100, is_name=True), option="--representative", help="The legal representative's name."
            ),
            "representative_number": Field(
                read=rows.number, option="--number", help="The representative's citizen number."
            ),
        },
    ),
    judge=lambda enterprise, realm, today: verify_enterprise(enterprise, realm, today=today),
    registering=wire.REGISTER_ENTERPRISES,
    reading=wire.GET_ENTERPRISE,
)  # fmt: skip

DivisionOption = Annotated[str | None, typer.Option("--division", help="Six digits; the own county.")]
FileArgument = Annotated[Path | None, typer.Argument(metavar="FILE", help=rows.FILE_HELP)]
PlateArgument = Annotated[
    str, typer.Argument(metavar="PLATE", help="Such as 浙H·I0001; the dot may be left out."), normalise_plate
]
UsccArgument = Annotated[
    str, typer.Argument(metavar="USCC", help="The unified social credit code, 18 characters."), words.condensed
]


@command(vehicles, "register", texts=VEHICLES.sheet.options(_PANEL, required=True))
def register_vehicle(
    desk: Desk,
    texts: Texts,
    plate: PlateArgument,
    division: DivisionOption = None,
    accept: AcceptOption = None,
) -> None:
    """Register (登记) a vehicle, or what changed of it. Exit 1 when policy refused."""
    given = {**texts, VEHICLES.key: plate, VEHICLES.county: division or desk.profile.agency.county}
    _register(desk, VEHICLES, given, accept)


@command(enterprises, "register", texts=ENTERPRISES.sheet.options(_PANEL, required=True))
def register_enterprise(
    desk: Desk,
    texts: Texts,
    uscc: UsccArgument,
    division: DivisionOption = None,
    accept: AcceptOption = None,
) -> None:
    """Register (登记) an enterprise, or what changed of it. Exit 1 when policy refused."""
    given = {**texts, ENTERPRISES.key: uscc, ENTERPRISES.county: division or desk.profile.agency.county}
    _register(desk, ENTERPRISES, given, accept)


@command(vehicles, "import", asked=open_import)
def import_vehicles(asked: Import, file: FileArgument = None) -> None:
    """Import (导入) vehicles. All is checked before the first row is stored; bad rows are told by line.

    The heading names the fields, in English or Chinese: plate, plate_class, brand_model, colour, status,
    registered_division, first_registered, keeper, permit, sealed.
    """
    asked.run(_importing(VEHICLES), file)


@command(enterprises, "import", asked=open_import)
def import_enterprises(asked: Import, file: FileArgument = None) -> None:
    """Import (导入) enterprises. All is checked before the first row is stored; bad rows are told by line.

    The heading names the fields, in English or Chinese: uscc, name, division, status, registered_on, legal_form,
    legal_representative, representative_number.
    """
    asked.run(_importing(ENTERPRISES), file)


@command(vehicles, "show")
def show_vehicle(desk: Desk, plate: PlateArgument, full: FullOption = False) -> None:
    """Show (查看) what the own county keeps under a plate."""
    _show(desk, VEHICLES, plate, full=full)


@command(enterprises, "show")
def show_enterprise(desk: Desk, uscc: UsccArgument, full: FullOption = False) -> None:
    """Show (查看) the enterprise that the own county keeps under a USCC."""
    _show(desk, ENTERPRISES, uscc, full=full)


def _register(desk: Desk, register: Register[Fact], texts: Texts, accept: list[str] | None) -> None:
    accepted, row = read_accepted(accept), register.sheet.parse(texts)
    settle_doubts([*register.sheet.find_doubts(texts)], accepted)
    (answer,) = desk.call(register.registering, (row,), act=register.act(desk))
    if isinstance(answer, BridgeheadError):
        raise answer
    if isinstance(answer, Ruling):
        desk.refuse(answer)
    else:
        desk.show(answer, (f"{answer.id}  {version_text(answer.version)}",))


def _importing(register: Register[Fact]) -> Importing[Fact]:
    return Importing(
        sheet=register.sheet,
        doubts=lambda _: (),
        same=lambda row: f"{getattr(row, register.key)} {getattr(row, 'plate_class', '')}",
        judge=register.judge,
        act=register.act,
        send=lambda *chunk: _send(register, *chunk),
    )


async def _send(
    register: Register[Fact], act: Act, client: AgencyClient, number: int, chunk: Sequence[Fact]
) -> Sequence[RowResult]:
    """Sends one chunk of an import under a request id that follows from the import's."""
    request_id = str(uuid.uuid5(uuid.UUID(act.request_id), str(number)))
    answers = await client.call(register.registering, replace(act, request_id=request_id), tuple(chunk))
    return [_result(each) for each in answers]


def _result(answer: wire.RegisteredRow) -> RowResult:
    if isinstance(answer, wire.StoredVersion):
        return standing_row(answer.id) if answer.unchanged else answer.id
    return answer


def version_text(number: int) -> str:
    return said(f"第 {number} 版|version {number}")


def _show(desk: Desk, register: Register[Fact], key: str, *, full: bool) -> None:
    reading = desk.call(register.reading, key, act=register.act(desk), changes=False)
    lines: list[str] = []
    for record in reading.records:
        lines.append(f"{record.version.id}  {version_text(record.version.version)}")
        lines += card(to_json(record.fields, full=full), enum=register.status)
    desk.show(reading, lines, full=full)
