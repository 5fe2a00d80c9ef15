"""Setting up a node's home: settings, keys, certificates and profiles, from the province's folder in `nodes/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from federation.node.home.certificates import create_tls, write_profiles
from federation.node.home.config import NodeSettings, load_settings
from federation.node.home.files import read_file, read_toml
from federation.node.home.keyring import Keyring, create_keyring, load_keyring
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id, parse_node_name
from federation.protocol.keys import Signer
from federation.protocol.tlog.note import format_vkey
from federation.protocol.trust.draft import Bundle, decode_bundle, encode_bundle
from federation.protocol.trust.members import Agency, Member, MessageKey

BUNDLE_FILE = "member-bundle.json"
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHome:
    """A home that was just made, its settings and member sheet, and the bundle for the other provinces."""

    home: Path
    settings: NodeSettings
    sheet: MemberSheet
    bundle: bytes


def create_home(
    home: Path, province: Path, *, now: datetime, overrides: Mapping[str, str | int | float | bool] | None = None
) -> NewHome:
    """Creates the home of a province's node.

    Args:
        home: an empty or absent folder.
        province: the folder in `nodes/` with `node.toml` and `member.toml`.
        now: when the keys and certificates begin to be valid.
        overrides: settings that differ from `node.toml`, such as ports.

    Raises:
        ConflictError: HOME_EXISTS; keys are never overwritten.
        NotFoundError: PROVINCE_MISSING when the folder lacks one of the two files.
        MalformedError: SETTINGS or MEMBER_SHEET naming what is wrong.
    """
    if (home / "node.toml").exists():
        raise ConflictError("HOME_EXISTS", f"{home} is a node's home already; keys are never overwritten")
    for name in ("node.toml", "member.toml"):
        if not (province / name).is_file():
            raise NotFoundError("PROVINCE_MISSING", f"expected {province / name}: one folder a province, as in nodes/")
    sheet = load_member_sheet(province / "member.toml")
    home.mkdir(parents=True, exist_ok=True)
    template = (province / "node.toml").read_text(encoding="utf-8")
    settings = _write_settings(home, override_settings(template, overrides or {}), node=sheet.node)
    reached = settings.reached
    peer_addr, read_url = f"{reached}:{settings.peer_port}", f"http://{reached}:{settings.read_port}"
    create_keyring(home, settings.federation, node=sheet.node, now=now)
    create_tls(home, agency_ids(sheet), hosts=sorted({reached, *_LOOPBACK}), now=now)
    write_profiles(home, agency_addr=f"{reached}:{settings.agency_port}", read_url=read_url)
    bundle = member_bundle(home, sheet, peer_addr=peer_addr, read_url=read_url)
    (home / BUNDLE_FILE).write_bytes(bundle)
    return NewHome(home=home, settings=settings, sheet=sheet, bundle=bundle)


def _write_settings(home: Path, text: str, *, node: NodeName) -> NodeSettings:
    """Writes the settings and reads them back; wrong ones are taken away again, or the home could not be made later."""
    path = home / "node.toml"
    path.write_text(text, encoding="utf-8")
    try:
        settings = load_settings(home)
        if settings.node != node:
            raise MalformedError("SETTINGS", f"node.toml is of {settings.node}, member.toml of {node}")
    except BridgeheadError:
        path.unlink()
        raise
    return settings


def override_settings(template: str, overrides: Mapping[str, str | int | float | bool]) -> str:
    """Puts settings into the text of a `node.toml`, keeping its comments."""
    text = template
    for name, value in overrides.items():
        line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
        text, found = re.subn(rf"(?m)^{re.escape(name)} = .*$", line.replace("\\", r"\\"), text)
        if not found:
            text = f"{text.rstrip()}\n{line}\n"
    return text


_NAMES = frozenset({"node", "name", "peer_addr", "read_url", "revoked_serials", "agency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSheet:
    """A province's entry in the agreement as the province writes it, without keys."""

    node: NodeName
    name: str
    peer_addr: str
    read_url: str
    revoked_serials: frozenset[str]
    agencies: tuple[Agency, ...]


def load_member_sheet(path: Path) -> MemberSheet:
    """Loads a `member.toml`.

    Raises:
        NotFoundError: FILE_MISSING when it is not there.
        MalformedError: MEMBER_SHEET naming what is missing, unknown or of another type; NODE_NAME, AGENCY_ID.
        ConflictError: MEMBER_SHEET when one agency stands there twice.
    """
    table = read_toml(path, reason="MEMBER_SHEET")
    for name in sorted(table.keys() ^ _NAMES):
        raise MalformedError(
            "MEMBER_SHEET", f"{path}: {'missing' if name in _NAMES else 'did not expect'} {name!r:.40}"
        )
    rows = table["agency"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MalformedError("MEMBER_SHEET", f"{path}: expected 'agency' to be an array of tables")
    agencies = tuple(_read_agency(row, path) for row in rows)
    if len({agency.id for agency in agencies}) != len(agencies):
        raise ConflictError("MEMBER_SHEET", f"{path}: expected every agency once")
    return MemberSheet(
        node=parse_node_name(_read_text(table, "node", path)),
        name=_read_text(table, "name", path),
        peer_addr=_read_text(table, "peer_addr", path),
        read_url=_read_text(table, "read_url", path),
        revoked_serials=frozenset(_read_texts(table, "revoked_serials", path)),
        agencies=agencies,
    )


def member_bundle(
    home: Path, sheet: MemberSheet, *, peer_addr: str | None = None, read_url: str | None = None
) -> bytes:
    """Makes the bundle that a node hands to the other provinces; the two addresses may replace those of the sheet.

    While a rotation runs the bundle names the successor: of the message key beside the old one, of the agreement and
    freshness keys instead of them.

    Raises:
        RuleError: MEMBER_ELSEWHERE when the sheet is another node's.
        NotFoundError: KEY_MISSING when the home holds no agreement or freshness key.
        MalformedError, UntrustedError: as `decode_bundle`.
    """
    keyring = load_keyring(home)
    identity = keyring.identity
    if sheet.node != identity.node:
        raise RuleError("MEMBER_ELSEWHERE", f"expected the member sheet of {identity.node}, got that of {sheet.node}")
    member = Member(
        node=sheet.node,
        name=sheet.name,
        peer_addr=peer_addr or sheet.peer_addr,
        read_url=read_url or sheet.read_url,
        message_keys=_message_keys(keyring),
        log_vkey=format_vkey(keyring.log.vkey),
        witness_vkey=format_vkey(keyring.witness.vkey),
        tls_ca=read_file(home / "tls" / "peer-ca.crt").decode("ascii", "replace"),
        agencies={agency.id: agency for agency in sheet.agencies},
        revoked_serials=sheet.revoked_serials,
    )
    bundle = Bundle(
        federation=identity.federation,
        member=member,
        agreement_key=_require(keyring.next_agreement or keyring.agreement, "agreement").public_key,
        freshness_key=_require(keyring.next_freshness or keyring.freshness, "freshness").public_key,
    )
    encoded = encode_bundle(bundle)
    decode_bundle(encoded)
    return encoded


def agency_ids(sheet: MemberSheet) -> tuple[AgencyId, ...]:
    """Returns the agencies that get a client certificate."""
    return tuple(agency.id for agency in sheet.agencies)


def _message_keys(keyring: Keyring) -> tuple[MessageKey, ...]:
    identity = keyring.identity
    keys = [MessageKey(key=keyring.message.public_key, valid_from=identity.message_from)]
    if keyring.next_message is not None:
        start = identity.next_from or identity.message_from
        keys.append(MessageKey(key=keyring.next_message.public_key, valid_from=start))
    return tuple(keys)


def _require(signer: Signer | None, office: str) -> Signer:
    if signer is None:
        raise NotFoundError("KEY_MISSING", f"expected the {office} key in this home's keys folder")
    return signer


def _read_agency(row: dict[str, object], path: Path) -> Agency:
    for name in sorted(row.keys() ^ {"id", "name", "functions"}):
        raise MalformedError("MEMBER_SHEET", f"{path}: an agency has id, name and functions; wrong is {name!r:.40}")
    return Agency(
        id=parse_agency_id(_read_text(row, "id", path)),
        name=_read_text(row, "name", path),
        functions=frozenset(_read_texts(row, "functions", path)),
    )


def _read_text(table: dict[str, object], name: str, path: Path) -> str:
    found = table[name]
    if not isinstance(found, str):
        raise MalformedError("MEMBER_SHEET", f"{path}: expected {name!r} to be a string", field=name)
    return found


def _read_texts(table: dict[str, object], name: str, path: Path) -> list[str]:
    found = table[name]
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else None
    if texts is None or texts != found:
        raise MalformedError("MEMBER_SHEET", f"{path}: expected {name!r} to be a list of strings", field=name)
    return texts
