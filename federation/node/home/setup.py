"""Setting up a node's home: settings, keys, certificates and profiles, from the province's folder in `nodes/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from federation.node.home.config import NodeSettings, load_settings
from federation.node.home.keyring import create_keyring
from federation.node.home.member_sheet import MemberSheet, agency_ids, load_member_sheet, member_bundle
from federation.node.home.tls_files import create_tls, write_profiles
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, NotFoundError
from federation.protocol.ids import NodeName

BUNDLE_FILE, CALENDAR_FILE = "member-bundle.json", "calendar.toml"
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHome:
    """A home that was just made: its settings, what the province tells the others, and the bundle to hand to them."""

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
        province: the folder in `nodes/` with `node.toml` and `member.toml`; the calendar of working days is copied from
            `policies/` beside `nodes/`, when it is there.
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
    calendar = province.resolve().parent.parent / "policies" / CALENDAR_FILE
    if calendar.is_file():
        (home / CALENDAR_FILE).write_bytes(calendar.read_bytes())
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
