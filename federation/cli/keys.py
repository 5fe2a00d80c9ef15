"""`bridgehead keys`: the keys and certificates of one node's home."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from federation.cli.options import Form, FormOption, NodeHome, now, show_in, show_value
from federation.cli.show import JsonOut, align, say
from federation.cli.words import said, short, titled, word_of

if TYPE_CHECKING:
    from federation.protocol.keys import PublicKey, Signer

app = typer.Typer(name="keys", help="Keys and certificates of a node's home.")

NodesOption = Annotated[Path, typer.Option("--nodes", help="The folder of the provinces' settings.")]
AgencyArgument = Annotated[str, typer.Argument(help="An agency such as zhejiang/330822/police.")]


@app.command("new")
def new(
    home: NodeHome,
    node: Annotated[str, typer.Option("--node", help="Which province, a folder below --nodes.")],
    nodes: NodesOption = Path("nodes"),
    form: FormOption = Form.TEXT,
) -> None:
    """Make a new node's home: settings, private keys (mode 0600), certificates, one client folder for each agency."""
    from federation.node.home.setup import BUNDLE_FILE, create_home
    from federation.protocol.ids import parse_node_name

    made = create_home(home, nodes / parse_node_name(node), now=now())
    number, bundle = len(made.sheet.agencies), home / BUNDLE_FILE
    say(f"已建 {home}，含 {number} 个单位的证书 | made {home} with certificates for {number} agencies")
    say(f"把 {bundle} 交给其他省，供下一份协议 | hand {bundle} to the other provinces for the next agreement")
    _show_keys(home, form)


@app.command("show")
def show(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Show public keys, certificates and their ends. No secret is printed."""
    _show_keys(home, form)


@app.command("bundle")
def bundle(
    home: NodeHome,
    province: Annotated[
        Path | None,
        typer.Option("--from", help="The province's folder, to take its changed member.toml into the home."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A file; without it stdout.")] = None,
    form: FormOption = Form.JSON,
) -> None:
    """Make the bundle of public keys and agencies that the other provinces need for the next agreement: always JSON.

    Addresses are those of the home's node.toml, agencies those of its member.toml.
    """
    from federation.node.home.files import write_public
    from federation.node.home.setup import take_sheet, write_bundle

    del form  # a bundle is signed over: it has the one form
    if province is not None:
        take_sheet(home, province)
    encoded = write_bundle(home, now=now())
    if out is None:
        sys.stdout.write(encoded.decode() + "\n")
    else:
        write_public(out, encoded)
        say(f"已写入 {out} | Wrote {out}.")


@app.command("rotate")
def rotate(
    office: Annotated[str, typer.Argument(help="message, agreement or freshness.")],
    home: NodeHome,
    starts: Annotated[str | None, typer.Option("--starts", help="When a message key begins, RFC 3339 in UTC.")] = None,
    finish: Annotated[bool, typer.Option("--finish", help="The agreement names the new key: destroy the old.")] = False,
    form: FormOption = Form.TEXT,
) -> None:
    """Begin to replace a key, or finish it once the agreement in force names the new one."""
    from federation.node.home import rotation
    from federation.node.home.keyring import Office
    from federation.node.home.setup import BUNDLE_FILE
    from federation.protocol.ids import parse_time

    if office not in list(Office):
        raise typer.BadParameter(
            f"可填 {'、'.join(Office)}，没有 {office} | expected one of {', '.join(Office)}, got {office}"
        )
    if starts is not None and (finish or office != Office.MESSAGE):
        raise typer.BadParameter(
            "只有新开始的报文密钥才写起用时间：--starts | only a message key that is begun has a start: --starts",
            param_hint="--starts",
        )
    chosen, next_bundle = Office(office), home / BUNDLE_FILE
    if finish:
        show_value("key_id", rotation.finish(home, chosen, now=now()).key_id, form)
        zh = f"新的{short(_OFFICES[office])}密钥已启用，旧的已销毁"
        say(f"{zh} | The new {office} key is in its place; the old one is destroyed.")
        if chosen is not Office.AGREEMENT:
            say(f"重启节点以启用 | Start the node anew, to have it used: bridgehead node serve --home {home}")
        say(f"{next_bundle} 写明旧密钥的终止时间，供下一份协议 | it tells the next agreement when the old one ends.")
        return
    key = rotation.begin(home, chosen, now=now(), starts=parse_time(starts) if starts else None)
    show_value("key_id", key.key_id, form)
    say(f"下一步：1. 把 {next_bundle} 交给起草的省 | Next: 1. hand it to who drafts the next agreement;")
    say(f"        2. 协议发布后 | once that is published: bridgehead keys rotate {office} --finish --home {home}")


@app.command("renew")
def renew(
    home: NodeHome,
    host: Annotated[list[str] | None, typer.Option("--host", help="A name or address the node is reached at.")] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """Issue the node's own certificates anew, under the same authorities; a running node takes them up by itself."""
    from federation.node.home.certificates import renew_tls
    from federation.node.home.config import load_settings

    hosts = {load_settings(home).reached, "127.0.0.1", "localhost", *(host or [])}
    renew_tls(home, hosts=sorted(hosts), now=now())
    leaves = _leaves(home)
    show_in(form, leaves, _renewed_lines(leaves, home))


@app.command("client")
def client(agency: AgencyArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Issue an agency's certificate, anew where it has one; prints the path of its profile."""
    from federation.node.home.certificates import issue_client, write_profiles
    from federation.node.home.config import load_settings
    from federation.node.home.files import PROFILE_FILE
    from federation.node.home.setup import require_agency
    from federation.protocol.ids import parse_agency_id

    settings = load_settings(home)
    folder = issue_client(home, require_agency(home, parse_agency_id(agency), now=now()), now=now())
    write_profiles(home, agency_addr=settings.agency_address, read_url=settings.read_address)
    show_value("profile", str(folder / PROFILE_FILE), form)


@app.command("administrator")
def administrator(
    offer: Annotated[str, typer.Argument(metavar="OFFER", help="The line that 'lookup key new' printed for them.")],
    home: NodeHome,
    replaces: Annotated[
        bool, typer.Option("--replace", help="Their keys are lost: this one in the place of all; a notice each.")
    ] = False,
    form: FormOption = Form.TEXT,
) -> None:
    """Enrol the first administrator of an agency's keys; from then on its administrators register and withdraw them."""
    from federation.domain.officers import parse_offer
    from federation.node.home_store import write_administrator

    offered = parse_offer(offer)
    write_administrator(home, offered, now=now(), replaces=replaces)
    show_value("administrator", f"{offered.agency}/{offered.officer}", form)


@app.command("revoke")
def revoke(agency: AgencyArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Revoke an agency's certificate; prints its serial. A running node refuses it from the next call on."""
    from federation.node.home.certificates import revoke_client
    from federation.protocol.ids import parse_agency_id

    show_value("serial", revoke_client(home, parse_agency_id(agency)), form)


@app.command("admit")
def admit(
    key: Annotated[str, typer.Argument(help="A key such as ed25519:<base64>, a vkey, or the path of a bundle.")],
    form: FormOption = Form.TEXT,
) -> None:
    """Check a public key, a vkey or a whole bundle as an agreement would; prints key ids, or refuses with exit 1."""
    admitted = _admitted(key)
    data: JsonOut = [{"key_id": public_key.key_id, "name": name} for name, public_key in admitted]
    show_in(form, data, (f"{public_key.key_id}  {name}" for name, public_key in admitted))


def _admitted(text: str) -> list[tuple[str, PublicKey]]:
    from federation.node.home.files import read_json
    from federation.protocol.keys import PublicKey, Suite, admit_public_key, parse_public_key
    from federation.protocol.tlog.note import parse_vkey
    from federation.protocol.trust.draft import decode_bundle
    from federation.protocol.trust.members import public_keys

    if ":" in text and not Path(text).is_file():
        return [("key", admit_public_key(parse_public_key(text)))]
    if "+" in text and not Path(text).is_file():
        vkey = parse_vkey(text)
        return [(vkey.name, admit_public_key(PublicKey(Suite.ED25519, vkey.public_key)))]
    parsed = decode_bundle(read_json(Path(text)))
    node = parsed.member.node
    names = ["message" for _ in parsed.member.message_keys] + ["log", "witness"]
    names += ["retired log" for _ in parsed.member.retired_logs]
    found = [(f"{node} {name}", key) for name, key in zip(names, public_keys(parsed.member), strict=True)]
    return [*found, (f"{node} agreement", parsed.agreement_key), (f"{node} freshness", parsed.freshness_key)]


def _public_keys(home: Path) -> dict[str, str]:
    from federation.node.home.keyring import load_keyring
    from federation.protocol.keys import format_public_key
    from federation.protocol.tlog.note import format_vkey

    keyring = load_keyring(home)
    signers: dict[str, Signer | None] = {
        "message": keyring.message,
        "message, next": keyring.next_message,
        "agreement": keyring.agreement,
        "agreement, next": keyring.next_agreement,
        "freshness": keyring.freshness,
        "freshness, next": keyring.next_freshness,
    }
    found = {name: format_public_key(signer.public_key) for name, signer in signers.items() if signer is not None}
    return found | {"log": format_vkey(keyring.log.vkey), "witness": format_vkey(keyring.witness.vkey)}


_OFFICES: Final = {
    "message": "报文|message", "message, next": "报文，下一把|message, next", "agreement": "协议|agreement",
    "agreement, next": "协议，下一把|agreement, next", "freshness": "续期|freshness",
    "freshness, next": "续期，下一把|freshness, next", "log": "日志|log", "witness": "见证|witness",
}  # fmt: skip


def _show_keys(home: Path, form: Form) -> None:
    from federation.node.home.keyring import load_identity

    identity, keys, leaves = load_identity(home), _public_keys(home), _leaves(home)
    lines = (
        f"{word_of('NodeName', identity.node)}  {identity.federation}",
        *align(
            [(said(_OFFICES[name]), key) for name, key in sorted(keys.items())]
        ),  # no table: a wrapped key is no key
        *_leaf_lines(leaves),
    )
    data: dict[str, JsonOut] = {"node": identity.node, "federation": identity.federation, "keys": keys}
    show_in(form, data | {"certificates": leaves}, lines)


def _leaf_lines(leaves: Sequence[Mapping[str, JsonOut]]) -> Iterator[str]:
    return (f"{each['file']:<44} {each['serial']:<40} {each['expires']}" for each in leaves)


def _renewed_lines(leaves: Sequence[Mapping[str, JsonOut]], home: Path) -> Iterator[str]:
    """The node's own, how many there are beside, and of those the ones that end within the days of a warning."""
    from federation.node.endings import STEPS
    from federation.protocol.ids import format_time

    soon = format_time(now() + timedelta(days=max(STEPS)))
    others = [each for each in leaves if not str(each["file"]).startswith("tls/")]
    due = [each for each in others if str(each["expires"]) <= soon]
    yield from _leaf_lines([each for each in leaves if each not in others])
    counts = f"{len(others)} certificates of agencies, {len(due)} to renew"
    yield said(f"单位证书 {len(others)} 份，其中 {len(due)} 份须换发 | {counts}")
    yield from _leaf_lines(due)
    yield f"{titled('全部证书|all of them')}bridgehead keys show --home {home}"
    if due:
        yield f"{titled('换发|renew one')}bridgehead keys client AGENCY --home {home}"


def _leaves(home: Path) -> list[dict[str, JsonOut]]:
    from federation.node.home.certificates import find_leaves
    from federation.protocol.ids import format_time

    return [
        {"file": path, "uris": list(facts.uris), "serial": facts.serial, "expires": format_time(facts.expires_time)}
        for path, facts in find_leaves(home).items()
    ]
