"""`bridgehead enterprise`: the county's enterprises (经营主体登记), kept by its market regulator.

Another province learns of them by a look-up. Registering a USCC that is known already registers its change; the same
facts again change nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.protocol.ids import Realm

app = typer.Typer(name="enterprise", no_args_is_help=True, help="Enterprises (经营主体) of the own county.")


@app.command("register")
@gathering(open_desk)
def register(
    desk: Desk,
    uscc: Annotated[str, typer.Argument(metavar="USCC", help="统一社会信用代码, 18 characters.")],
    name: Annotated[str, typer.Option("--name", help="名称.")],
    legal_form: Annotated[str, typer.Option("--legal-form", help="组织形式, such as 有限责任公司.")],
    representative: Annotated[str, typer.Option("--representative", help="法定代表人: the name.")],
    number: Annotated[str, typer.Option("--number", help="The representative's citizen number.")],
    registered_on: Annotated[str, typer.Option("--registered-on", help="登记日期: a day.")],
    status: Annotated[str, typer.Option("--status", help="登记状态: active, revoked, ...")] = "active",
    division: Annotated[str | None, typer.Option("--division", help="Six digits; the own county.")] = None,
) -> None:
    """Register (登记) an enterprise, or what changed of it. Exit 1 when policy refused."""
    from federation.cli.registers.desk import register_one
    from federation.cli.registers.rows import ENTERPRISES

    texts = {
        "uscc": uscc,
        "name": name,
        "division": division or desk.profile.agency.county,
        "status": status,
        "registered_on": registered_on,
        "legal_form": legal_form,
        "legal_representative": representative,
        "representative_number": number,
    }
    register_one(desk, ENTERPRISES, texts)


@app.command("import")
@gathering(open_desk)
def import_enterprises(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a heading, or JSON Lines.")],
    encoding: Annotated[str, typer.Option("--encoding", help="Of the file, e.g. gb18030.")] = "utf-8",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, without the node.")] = False,
    realm: Annotated[Realm, typer.Option("--realm", help="With --dry-run: whose rules.")] = Realm.DEMO,
) -> None:
    """Import (导入) enterprises. Bad rows are told by line, good rows go on. Exit 1 when any row failed.

    The heading names the fields, in English or Chinese: uscc, name, division, status, registered_on, legal_form,
    legal_representative, representative_number.
    """
    from federation.cli.registers.desk import import_file
    from federation.cli.registers.rows import ENTERPRISES

    import_file(desk, ENTERPRISES, file, encoding=encoding, dry_run=dry_run, realm=realm)


@app.command("show")
@gathering(open_desk)
def show(
    desk: Desk,
    uscc: Annotated[str, typer.Argument(metavar="USCC", help="统一社会信用代码, 18 characters.")],
    full: Annotated[bool, typer.Option("--full", help="Do not mask the representative's citizen number.")] = False,
) -> None:
    """Show (查看) the enterprise that the own county keeps under a USCC."""
    from federation.cli.registers.desk import show_one
    from federation.domain.dossiers.dossier import DossierKind
    from federation.wire.agency.registers import GET_ENTERPRISE

    code = uscc.strip().upper()
    show_one(desk, DossierKind.ENTERPRISE, lambda client, act: client.call(GET_ENTERPRISE, act, code), full=full)
