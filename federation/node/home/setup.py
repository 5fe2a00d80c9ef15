"""Setting up a node's home: settings, keys, certificates and profiles, from the province's folder in `nodes/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from federation.node.home.certificates import create_tls, write_profiles
from federation.node.home.config import NodeSettings, load_settings
from federation.node.home.files import read_file, read_toml
from federation.node.home.keyring import Keyring, create_keyring, load_keyring
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import Row, load_toml
from federation.protocol.ids import AgencyId, NodeName
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
    """Creates the home of a province's node out of `node.toml` and `member.toml` in `province`; `overrides` win.

    Keys are never overwritten. Refuses HOME_EXISTS, PROVINCE_MISSING, SETTINGS, MEMBER_SHEET.
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
    create_tls(home, [agency.id for agency in sheet.agencies], hosts=sorted({reached, *_LOOPBACK}), now=now)
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


class _Sheet(Row, frozen=True, kw_only=True):
    REASON: ClassVar[str] = "MEMBER_SHEET"
    TYPE_REASON: ClassVar[str] = "MEMBER_SHEET"
    MISSING_REASON: ClassVar[str] = "MEMBER_SHEET"
    UNKNOWN_REASON: ClassVar[str] = "MEMBER_SHEET"


class AgencyRow(_Sheet, frozen=True, kw_only=True):
    id: AgencyId
    name: str
    functions: tuple[str, ...]


class MemberSheet(_Sheet, frozen=True, kw_only=True, rename={"agencies": "agency"}):
    """A province's entry in the agreement as the province writes it, without keys."""

    node: NodeName
    name: str
    peer_addr: str
    read_url: str
    revoked_serials: tuple[str, ...]
    agencies: tuple[AgencyRow, ...]


def load_member_sheet(path: Path) -> MemberSheet:
    """Loads a `member.toml`. Refuses FILE_MISSING, MEMBER_SHEET, NODE_NAME, AGENCY_ID."""
    sheet = load_toml(MemberSheet, read_toml(path, reason="MEMBER_SHEET"), what=str(path))
    if len({agency.id for agency in sheet.agencies}) != len(sheet.agencies):
        raise ConflictError("MEMBER_SHEET", f"{path}: expected every agency once")
    return sheet


def member_bundle(
    home: Path, sheet: MemberSheet, *, peer_addr: str | None = None, read_url: str | None = None
) -> bytes:
    """Makes the bundle that a node hands to the other provinces; the two addresses may replace those of the sheet.

    While a rotation runs it names the successor: of the message key beside the old one, of the others instead of them.
    Refuses MEMBER_ELSEWHERE, KEY_MISSING, and as `decode_bundle`.
    """
    keyring = load_keyring(home)
    identity = keyring.identity
    if sheet.node != identity.node:
        raise RuleError("MEMBER_ELSEWHERE", f"expected the member sheet of {identity.node}, got that of {sheet.node}")
    agencies = {row.id: Agency(name=row.name, functions=frozenset(row.functions)) for row in sheet.agencies}
    member = Member(
        node=sheet.node,
        name=sheet.name,
        peer_addr=peer_addr or sheet.peer_addr,
        read_url=read_url or sheet.read_url,
        message_keys=_message_keys(keyring),
        log_vkey=format_vkey(keyring.log.vkey),
        witness_vkey=format_vkey(keyring.witness.vkey),
        tls_ca=read_file(home / "tls" / "peer-ca.crt").decode("ascii", "replace"),
        agencies=agencies,
        revoked_serials=frozenset(sheet.revoked_serials),
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
