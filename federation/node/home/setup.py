"""Setting up a node's home: settings, keys, certificates and profiles, from the province's folder in `nodes/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from federation.node.home.agreement import has_agreement, load_home_agreement, read_agreement_files
from federation.node.home.certificates import create_tls, write_profiles
from federation.node.home.config import NodeSettings, load_settings
from federation.node.home.files import make_home_folder, read_file, read_toml, write_public, write_secret
from federation.node.home.keyring import Keyring, create_keyring, load_identity, load_keyring
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import Row, load_toml, replace
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.keys import PublicKey, Signer
from federation.protocol.tlog.note import format_vkey
from federation.protocol.trust import find_agency
from federation.protocol.trust.draft import Bundle, bundles_of, decode_bundle, encode_bundle, membership_of
from federation.protocol.trust.members import MAX_MESSAGE_KEYS, TERMS_PATH, Agency, Member, MessageKey, decode_terms
from federation.protocol.trust.succession import is_past_keeping

BUNDLE_FILE = "member-bundle.json"
SHEET_FILE = "member.toml"
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

    Keys are never overwritten. Refuses HOME_EXISTS, HOME_MODE, PROVINCE_MISSING, SETTINGS, MEMBER_SHEET.
    """
    if (home / "node.toml").exists():
        raise ConflictError("HOME_EXISTS", f"{home} is a node's home already; keys are never overwritten")
    for name in ("node.toml", SHEET_FILE):
        if not (province / name).is_file():
            raise NotFoundError("PROVINCE_MISSING", f"expected {province / name}: one folder a province, as in nodes/")
    sheet = load_member_sheet(province / SHEET_FILE)
    make_home_folder(home)
    template = (province / "node.toml").read_text(encoding="utf-8")
    settings = _write_settings(home, override_settings(template, overrides or {}), node=sheet.node)
    write_public(home / SHEET_FILE, read_file(province / SHEET_FILE))
    create_keyring(home, settings.federation, node=sheet.node, now=now)
    create_tls(home, [agency.id for agency in sheet.agencies], hosts=sorted({settings.reached, *_LOOPBACK}), now=now)
    write_profiles(home, agency_addr=settings.agency_address, read_url=settings.read_address)
    return NewHome(home=home, settings=settings, sheet=sheet, bundle=write_bundle(home, now=now))


def _write_settings(home: Path, text: str, *, node: NodeName) -> NodeSettings:
    """Writes the settings and reads them back; wrong ones are taken away again, or the home could not be made later."""
    path = home / "node.toml"
    write_secret(path, text.encode())  # it may hold the database's password
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
    phone: str = ""


class MemberSheet(_Sheet, frozen=True, kw_only=True, rename={"agencies": "agency"}):
    """A province's entry in the agreement as the province writes it, without keys."""

    node: NodeName
    name: str
    contact: str = ""
    revoked_serials: tuple[str, ...]
    agencies: tuple[AgencyRow, ...]


def load_member_sheet(path: Path) -> MemberSheet:
    """Loads a `member.toml`. Refuses FILE_MISSING, MEMBER_SHEET, NODE_NAME, AGENCY_ID."""
    sheet = load_toml(MemberSheet, read_toml(path, reason="MEMBER_SHEET"), what=str(path))
    if len({agency.id for agency in sheet.agencies}) != len(sheet.agencies):
        raise ConflictError("MEMBER_SHEET", f"{path}: expected every agency once")
    return sheet


def take_sheet(home: Path, province: Path) -> None:
    """Takes the province's `member.toml` into the home anew. Refuses as `load_member_sheet`, MEMBER_ELSEWHERE."""
    sheet, node = load_member_sheet(province / SHEET_FILE), load_identity(home).node
    if sheet.node != node:
        raise RuleError("MEMBER_ELSEWHERE", f"expected the member sheet of {node}, got that of {sheet.node}")
    write_public(home / SHEET_FILE, read_file(province / SHEET_FILE))


def require_agency(home: Path, agency: AgencyId, *, now: datetime) -> AgencyId:
    """Returns an agency of this node that the agreement in force names; before the first one, the home's member sheet.

    Refuses AGENCY_ELSEWHERE, AGENCY_NOT_AGREED.
    """
    node = load_identity(home).node
    if agency.node != node:
        raise RuleError("AGENCY_ELSEWHERE", f"expected an agency of {node}, got {agency}")
    if has_agreement(home):
        agreement = load_home_agreement(home, now=now)
        known, where = find_agency(agreement, agency) is not None, f"agreement {agreement.version}"
    else:
        sheet = home / SHEET_FILE
        known = sheet.is_file() and agency in {row.id for row in load_member_sheet(sheet).agencies}
        where = str(sheet)
    if not known:
        raise RuleError("AGENCY_NOT_AGREED", f"expected an agency that {where} names, got {agency}")
    return agency


def write_bundle(home: Path, *, now: datetime) -> bytes:
    """Makes the bundle and writes the one file of it in the home. Refuses as `member_bundle`."""
    encoded = member_bundle(home, now=now)
    write_public(home / BUNDLE_FILE, encoded)
    return encoded


def member_bundle(home: Path, *, now: datetime) -> bytes:
    """Makes the bundle that a node hands to the other provinces, out of its home alone.

    While a rotation runs it names the successor: of the message key beside the old one, of the others instead of them.
    Message keys that were ever agreed stay in it, with their end. A key kept off this machine is that of the agreement
    in force. Refuses MEMBER_SHEET_MISSING, KEY_MISSING, and as `decode_bundle`.
    """
    keyring, settings = load_keyring(home), load_settings(home)
    if not (home / SHEET_FILE).is_file():
        raise NotFoundError("MEMBER_SHEET_MISSING", f"expected {home / SHEET_FILE}, what the province says of itself")
    sheet = load_member_sheet(home / SHEET_FILE)
    node = keyring.identity.node
    agreed, before, end = _agreed(home, node, now=now)
    member = Member(
        node=node,
        name=sheet.name,
        peer_addr=settings.peer_address,
        read_url=settings.read_address,
        message_keys=_message_keys(keyring, before, now=now, end=end),
        log_vkey=format_vkey(keyring.log.vkey),
        witness_vkey=format_vkey(keyring.witness.vkey),
        tls_ca=read_file(home / "tls" / "peer-ca.crt").decode("ascii", "replace"),
        agencies={
            row.id: Agency(name=row.name, functions=frozenset(row.functions), phone=row.phone) for row in sheet.agencies
        },
        revoked_serials=frozenset(sheet.revoked_serials),
        retired_logs=keyring.identity.retired_logs,
        contact=sheet.contact,
    )
    roots = (agreed.agreement_key, agreed.freshness_key) if agreed is not None else (None, None)
    bundle = Bundle(
        federation=keyring.identity.federation,
        member=member,
        agreement_key=_public_key(keyring.next_agreement or keyring.agreement, roots[0]),
        freshness_key=_public_key(keyring.next_freshness or keyring.freshness, roots[1]),
    )
    signer = keyring.next_agreement or keyring.agreement  # None where it is kept off this machine
    encoded = encode_bundle(bundle, signer)
    decode_bundle(encoded)
    return encoded


def _agreed(home: Path, node: NodeName, *, now: datetime) -> tuple[Bundle | None, tuple[MessageKey, ...], datetime]:
    """Returns what the agreement says of this node, every message key of it, and how long a statement may travel.

    A former member finds its keys, too.
    """
    if not has_agreement(home):
        return None, (), now
    files = read_agreement_files(home)
    lifetime = decode_terms(files.files[TERMS_PATH]).statement_lifetime
    membership = membership_of(files)
    party = membership.members.get(node) or membership.former.get(node)
    keys = party.message_keys if party is not None else ()
    return bundles_of(files).get(node), keys, truncate_to_millisecond(now + lifetime)


def _message_keys(
    keyring: Keyring, agreed: tuple[MessageKey, ...], *, now: datetime, end: datetime
) -> tuple[MessageKey, ...]:
    """The retired keys, each with its end, then the keys of the home."""
    identity = keyring.identity
    keys = [MessageKey(key=keyring.message.public_key, valid_from=identity.message_from)]
    if keyring.next_message is not None:
        start = identity.next_from or identity.message_from
        keys.append(MessageKey(key=keyring.next_message.public_key, valid_from=start))
    held = {entry.key for entry in keys}
    before = [entry for entry in agreed if entry.key not in held]
    retired = [entry if entry.valid_until else replace(entry, valid_until=end) for entry in before]
    room = MAX_MESSAGE_KEYS - len(keys)
    while len(retired) > room and is_past_keeping(retired[0], now=now):
        retired.pop(0)
    return (*retired, *keys)


def _public_key(own: Signer | None, agreed: PublicKey | None) -> PublicKey:
    key = own.public_key if own is not None else agreed
    if key is None:
        raise NotFoundError("KEY_MISSING", "expected the agreement and freshness keys in this home's keys folder")
    return key
