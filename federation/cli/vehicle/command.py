"""`bridgehead vehicle`: the county's vehicles (机动车登记), kept by its police.

Another province learns of them by a look-up. Registering a plate that is known already registers its change; the same
facts again change nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.protocol.ids import Realm

app = typer.Typer(name="vehicle", no_args_is_help=True, help="Vehicles (机动车) of the own county.")


@app.command("register")
@gathering(open_desk)
def register(
    desk: Desk,
    plate: Annotated[str, typer.Argument(metavar="PLATE", help="Such as 浙H·I0001; the dot may be left out.")],
    keeper: Annotated[str, typer.Option("--keeper", help="所有人: a citizen number or a USCC.")],
    brand_model: Annotated[str, typer.Option("--brand-model", help="品牌型号.")],
    colour: Annotated[str, typer.Option("--colour", help="车身颜色.")],
    first_registered: Annotated[str, typer.Option("--first-registered", help="初次登记日期: a day.")],
    plate_class: Annotated[str, typer.Option("--class", help="号牌种类: small_car, motorcycle, ...")] = "small_car",
    status: Annotated[str, typer.Option("--status", help="状态: normal, stolen, transferred, ...")] = "normal",
    division: Annotated[str | None, typer.Option("--division", help="Six digits; the own county.")] = None,
    permit: Annotated[str | None, typer.Option("--permit", help="The residence permit that it rests on.")] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="封存: it answers no look-up.")] = False,
) -> None:
    """Register (登记) a vehicle, or what changed of it. Exit 1 when policy refused."""
    from federation.cli.registers.desk import register_one
    from federation.cli.registers.rows import VEHICLES

    texts = {
        "plate": plate,
        "plate_class": plate_class,
        "brand_model": brand_model,
        "colour": colour,
        "status": status,
        "registered_division": division or desk.profile.agency.county,
        "first_registered": first_registered,
        "keeper": keeper,
        "permit": permit,
        "sealed": str(sealed).lower(),
    }
    register_one(desk, VEHICLES, texts)


@app.command("import")
@gathering(open_desk)
def import_vehicles(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a heading, or JSON Lines.")],
    encoding: Annotated[str, typer.Option("--encoding", help="Of the file, e.g. gb18030.")] = "utf-8",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, without the node.")] = False,
    realm: Annotated[Realm, typer.Option("--realm", help="With --dry-run: whose rules.")] = Realm.DEMO,
) -> None:
    """Import (导入) vehicles. Bad rows are told by line, good rows go on. Exit 1 when any row failed.

    The heading names the fields, in English or Chinese: plate, plate_class, brand_model, colour, status,
    registered_division, first_registered, keeper, permit, sealed.
    """
    from federation.cli.registers.desk import import_file
    from federation.cli.registers.rows import VEHICLES

    import_file(desk, VEHICLES, file, encoding=encoding, dry_run=dry_run, realm=realm)


@app.command("show")
@gathering(open_desk)
def show(
    desk: Desk,
    plate: Annotated[str, typer.Argument(metavar="PLATE", help="Such as 浙H·I0001.")],
    full: Annotated[bool, typer.Option("--full", help="Do not mask the keeper's citizen number.")] = False,
) -> None:
    """Show (查看) what the own county keeps under a plate."""
    from federation.cli.registers.desk import show_one
    from federation.domain.dossiers.dossier import DossierKind
    from federation.domain.dossiers.plate import normalise_plate
    from federation.wire.agency.registers import GET_VEHICLE

    written = normalise_plate(plate.strip())
    show_one(desk, DossierKind.VEHICLE, lambda client, act: client.call(GET_VEHICLE, act, written), full=full)
