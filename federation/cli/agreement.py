"""`bridgehead agreement`: draft, sign, publish, refresh and read what the provinces agreed on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption, NodeHome, client_profile, end, now, profiles_in, show_in
from federation.cli.show import JsonOut, align, object_of, pick, say
from federation.cli.words import listed, said, titled, word, word_of
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName, format_time

if TYPE_CHECKING:
    from federation.node.home.draft import DraftStatus
    from federation.protocol.trust import Agreement, AgreementFiles
    from federation.wire.client import Client

app = typer.Typer(name="agreement", help="What the provinces agreed on: draft, sign, publish, refresh, show.")

_MEMBERS = ("省|node", "名称|name", "节点地址|peers", "公开网址|auditors", "单位|agencies")
_SIGNING = ("文件|file", "须签|needed", "已签|signed", "未签|missing")
_HAVE = {"已生效|in force at": True, "尚未取得|not yet at": False, "未能连接|not reached": None}
"""By what a node answered that was asked which version it has."""
_ASK_SECONDS = 5.0
_LOOK_SECONDS = 0.5

HomesOption = Annotated[list[Path], typer.Option("--home", help="A node's home; repeat for more, the first one signs.")]
DraftArgument = Annotated[Path, typer.Argument(help="The draft folder.")]


@app.command("draft")
def draft(
    out: Annotated[Path, typer.Option("--out", help="A new folder for the draft.")],
    bundle: Annotated[
        list[Path] | None, typer.Option("--bundle", help="A node's member-bundle.json; one of a new node admits it.")
    ] = None,
    nodes: Annotated[Path, typer.Option("--nodes", help="The folder with agreement.toml and duty sheets.")] = Path(
        "nodes"
    ),
    policies: Annotated[Path, typer.Option("--policies", help="The folder of policy files.")] = Path("policies"),
    after: Annotated[Path | None, typer.Option("--after", help="A home whose agreement this one follows.")] = None,
    expel: Annotated[list[str] | None, typer.Option("--expel", help="A node that is no member any more.")] = None,
    suspend: Annotated[
        list[str] | None, typer.Option("--suspend", help="A node that exchanges nothing for now.")
    ] = None,
    lift: Annotated[list[str] | None, typer.Option("--lift", help="A node that is suspended no more.")] = None,
    actual: Annotated[
        list[Path] | None, typer.Option("--actual", help="A report of 'node conform': its node exchanges all.")
    ] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """Draft the first agreement, or with --after the next one, in which who hands in no bundle stays as agreed.

    The policies must pass `bridgehead policy check`.
    """
    from federation.node.home.agreement import read_agreement_files
    from federation.node.home.draft import complete_bundles, draft_agreement
    from federation.node.home.files import read_json
    from federation.protocol.ids import parse_node_name
    from federation.protocol.trust.succession import StandingChanges

    bundles = [read_json(path) for path in bundle or ()]
    previous = read_agreement_files(after) if after else None
    if previous is not None:
        named = [frozenset(map(parse_node_name, given or ())) for given in (expel, suspend, lift)]
        reports = dict(_verified(path, previous) for path in actual or ())
        changes = StandingChanges(suspend=named[1], lift=named[2], actual=reports)
        bundles = complete_bundles(bundles, previous, now=now(), expel=named[0], changes=changes)
    elif expel or suspend or lift or actual or not bundles:
        raise typer.BadParameter(
            "第一版协议须有各节点的 --bundle，以后的版本写 --after HOME"
            " | the first agreement needs a --bundle of each node, the next one --after HOME"
        )
    status = draft_agreement(out, bundles, nodes=nodes, policies=policies, previous=previous, now=now())
    _show_status(status, form)
    say(f"看改动 | See what it changes: bridgehead agreement diff {out} --home HOME")
    say(f"核对密钥后 | Compare the keys with the other provinces, then: bridgehead agreement sign {out} --home HOME")


def _verified(report: Path, previous: AgreementFiles) -> tuple[NodeName, str]:
    from federation.cli.conformance import verify_report

    return verify_report(report, previous, now=now())


@app.command("diff")
def diff(folder: DraftArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Show in words what a draft changes against the agreement in force in a home, before anybody signs it."""
    lines = _changes(folder, home)
    show_in(form, {"changes": lines}, map(_in_words, lines))


@app.command("sign")
def sign(
    folder: DraftArgument,
    home: NodeHome,
    instead: Annotated[
        bool, typer.Option("--instead", help="All provinces gave up the draft of this version that was signed before.")
    ] = False,
    form: FormOption = Form.TEXT,
) -> None:
    """Sign a draft in place with this home's agreement key; says in words what it changes, as diff does before."""
    from federation.node.home.draft import sign_draft

    changes = _changes(folder, home)
    status = sign_draft(folder, home, now=now(), instead=instead)  # first: who reads may have gone
    for line in changes:
        say(_in_words(line))
    _show_status(status, form)
    if status.complete:
        say(f"签字已够 | Enough have signed: bridgehead agreement publish {folder} --home HOME")


@app.command("collect")
def collect(
    folder: DraftArgument,
    copy: Annotated[Path, typer.Argument(help="A copy of the same draft that others have signed.")],
    form: FormOption = Form.TEXT,
) -> None:
    """Take over the signatures from a copy of a draft that went another way."""
    from federation.node.home.draft import collect_draft

    _show_status(collect_draft(folder, copy), form)


@app.command("status")
def status(folder: DraftArgument, form: FormOption = Form.TEXT) -> None:
    """Tell who has signed a draft and who is missing; exit 1 while signatures are missing."""
    from federation.node.home.draft import draft_status

    found = draft_status(folder)
    _show_status(found, form)
    end(0 if found.complete else 1)


@app.command("publish")
def publish(
    folder: DraftArgument,
    home: HomesOption,
    wait: Annotated[float, typer.Option("--wait", min=0, max=3600, help="Seconds to wait until all have it.")] = 0.0,
    form: FormOption = Form.TEXT,
) -> None:
    """Verify the signatures of a draft, sign its freshness, install it; tells which nodes have it in force by now.

    A running node takes it from its home within seconds, from another node within a minute. With --wait, 3 when one has
    it not by then.
    """
    from federation.node.home.draft import publish_draft

    agreement = publish_draft(folder, home, now=now())
    count = len(home)
    say(f"已写入 {count} 个节点目录，其他节点自行取得 | Installed in {count} home(s); other nodes fetch it.")
    _show_agreement(agreement, form, home[0])
    found = asyncio.run(_ask_until_all(agreement, home[0], wait))
    for words, has in _HAVE.items():
        if names := [word_of("NodeName", node) for node, said_so in found.items() if said_so is has]:
            say(f"{titled(words)}{listed(names)}")
    end(3 if wait and not all(found.values()) else 0)


async def _ask_until_all(agreement: Agreement, home: Path, wait: float) -> dict[NodeName, bool | None]:
    """Asks each member, by the keys of a home, which version is in force there; None for one that is not reached."""
    end_time = asyncio.get_running_loop().time() + wait
    while True:
        asked = [_has(agreement, node, home) for node in sorted(agreement.members)]
        found = dict(zip(sorted(agreement.members), await asyncio.gather(*asked), strict=True))
        if all(found.values()) or asyncio.get_running_loop().time() >= end_time:
            return found
        await asyncio.sleep(_LOOK_SECONDS)


async def _has(agreement: Agreement, node: NodeName, home: Path) -> bool | None:
    from federation.cli.conformance import peer_client
    from federation.node.home.certificates import find_side
    from federation.node.home.files import load_profile
    from federation.node.home.keyring import load_identity
    from federation.wire.client import AgencyClient
    from federation.wire.peer import FETCH_AGREEMENT, AgreementQuery
    from federation.wire.rpc import TlsFiles

    member = agreement.members[node]
    client: Client
    try:
        side = find_side(home, "peer")
        if load_identity(home).node == node:
            client = AgencyClient(client_profile(load_profile(next(iter(profiles_in(home).values())))))
        else:
            client = peer_client(agreement, member, TlsFiles(certificate=side.certificate, key=side.key))
        try:
            asked = AgreementQuery(known_version=agreement.version)
            files = await client.call(FETCH_AGREEMENT, None, asked, timeout_seconds=_ASK_SECONDS)
        finally:
            await client.close()
    except (BridgeheadError, StopIteration):
        return None
    return not files.targets  # which are not handed out again to who names the version in force


@app.command("refresh")
def refresh(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Re-sign that the agreement in force is still the newest; any one node may."""
    from federation.node.home.agreement import refresh as refresh_agreement
    from federation.node.home.keyring import load_keyring

    _show_agreement(refresh_agreement(home, load_keyring(home), now()), form, home)


@app.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="A new file, such as agreement.zip.")],
    home: NodeHome,
    form: FormOption = Form.TEXT,
) -> None:
    """Export the agreement in force as one file, for an auditor: 'audit verify --agreement FILE'."""
    from federation.node.home.agreement import load_home_agreement, read_agreement_files, write_archive

    agreement = load_home_agreement(home, now=now())
    write_archive(out, read_agreement_files(home))
    say(f"写入 {out}，收件人须另行核对首个根 | wrote {out}: whoever gets it compares the first root by another way")
    _show_agreement(agreement, form, home)


@app.command("show")
def show(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Show the agreement in force in a home, verified from its pinned root."""
    from federation.node.home.agreement import load_home_agreement

    _show_agreement(load_home_agreement(home, now=now()), form, home)


def _changes(folder: Path, home: Path) -> list[str]:
    from federation.cli.agreement_changes import describe_changes
    from federation.node.home.draft import read_both

    return list(describe_changes(*read_both(folder, home)))


def _in_words(line: str) -> str:
    """A change in the language that is asked for; a line of a file stays whole, since it is signed whole."""
    return line if line.startswith(" ") else said(line)


def _show_status(status: DraftStatus, form: Form) -> None:
    rows = [
        (what, str(signing.threshold), ", ".join(signing.signed) or "-", ", ".join(signing.missing) or "-")
        for what, signing in status.signings.items()
    ]
    table = align([[said(word) for word in _SIGNING], *rows])
    show_in(form, {**object_of(status), "complete": status.complete}, table)


def _show_agreement(agreement: Agreement, form: Form, home: Path) -> None:
    from federation.node.home.agreement import pinned_root
    from federation.protocol.trust import freshness
    from federation.protocol.trust.metadata import root_digest

    state, members = freshness(agreement, now()), [member for _, member in sorted(agreement.members.items())]
    fresh_until, expires = format_time(agreement.fresh_until_time), format_time(agreement.expires_time)
    shown: JsonOut = [
        {
            **pick(member, "node", "name", "peer_addr", "read_url", "log_vkey", "witness_vkey"),
            "message_keys": [entry.key.key_id for entry in member.message_keys],
            "agencies": len(member.agencies),
        }
        for member in members
    ]
    facts = pick(agreement, "version", "digest", "root_version", "federation", "realm")
    first_root = root_digest(pinned_root(home))
    dates = {"freshness": state.value, "fresh_until": fresh_until, "expires": expires}
    rows = [(each.node, each.name, each.peer_addr, each.read_url, str(len(each.agencies))) for each in members]
    until, files = said("至|until"), f"{len(agreement.files)} {said('个文件|files')}"
    lines = (
        *align([
            (said("协议|agreement"), f"{agreement.version}  {agreement.federation}  {word(agreement.realm)}"),
            (said("根|root"), str(agreement.root_version)),
            (said("首个根|first root"), first_root),
            (said("摘要|digest"), agreement.digest),
            (said("续期|freshness"), f"{word(state)}  {until} {fresh_until}"),
            (said("内容|content"), f"{until} {expires}  {files}"),
        ]),
        *align([tuple(map(said, _MEMBERS)), *rows]),
    )  # fmt: skip
    show_in(
        form, {**facts, "first_root": first_root, **dates, "members": shown, "files": sorted(agreement.files)}, lines
    )
