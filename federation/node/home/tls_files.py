"""The home's certificates as files: authorities, the node's own leaves, one folder for each agency.

    <home>/tls/peer-ca.{crt,key}  peer.{crt,key}              towards the other provinces
    <home>/tls/agency-ca.{crt,key}  agency.{crt,key}          towards the own agencies
    <home>/tls/agency-revoked.txt                             serials of agency certificates, hex, one a line
    <home>/clients/<county>-<kind>/{client.crt,client.key,ca.crt,profile.toml}   handed to the agency

Rules kept: keys 0600; leaves are re-issued under the same authority, the older one simply runs out or is revoked.
Revoked *peer* certificates are no file here: they stand in the agreement, so that all provinces refuse them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from federation.node.home.certificates import (
    LEAF_LIFETIME,
    Facts,
    Issued,
    create_authority,
    issue_agency_client,
    issue_agency_server,
    issue_peer,
    parse_facts,
)
from federation.node.home.keyring import Identity, load_identity
from federation.node.home.secret_files import make_private_folder, read_file, read_secret, write_public, write_secret
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import AgencyId, parse_agency_id

REVOKED_FILE = "agency-revoked.txt"
PROFILE_FILE = "profile.toml"
_PROFILE_NAMES = frozenset({"federation", "agency", "node", "agency_addr", "read_url", "ca", "cert", "key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFiles:
    """Where one side of a node keeps its authority's certificate, its own and its private key, all PEM."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyProfile:
    """How an agency's program reaches its node; loaded paths are joined to the profile's folder."""

    federation: str
    agency: AgencyId
    node: str
    agency_addr: str
    read_url: str
    ca: Path
    cert: Path
    key: Path

    @property
    def server_name(self) -> str:
        """The name in the node's certificate, whatever address it is reached at."""
        return f"{self.node}.{self.federation}"


def create_tls(home: Path, agencies: Sequence[AgencyId], *, hosts: Sequence[str], now: datetime) -> None:
    """Creates both authorities, the node's own certificates and one client certificate for each agency.

    Raises:
        ConflictError: KEY_EXISTS when an authority is there already.
        RuleError: AGENCY_ELSEWHERE for an agency of another node.
    """
    identity = load_identity(home)
    make_private_folder(home / "tls")
    for side in ("peer", "agency"):
        issued = create_authority(f"{identity.node} {side} authority", now=now)
        write_secret(home / "tls" / f"{side}-ca.key", issued.key)
        write_public(home / "tls" / f"{side}-ca.crt", issued.certificate)
    write_public(home / "tls" / REVOKED_FILE, b"")
    renew_tls(home, hosts=hosts, now=now)
    for agency in agencies:
        issue_client(home, agency, now=now)


def renew_tls(home: Path, *, hosts: Sequence[str], now: datetime, lifetime: timedelta = LEAF_LIFETIME) -> None:
    """Issues the node's own two certificates anew.

    Raises:
        NotFoundError: FILE_MISSING when there are no authorities.
    """
    identity = load_identity(home)
    federation, node = identity.federation, identity.node
    peer = issue_peer(
        _load_authority(home, "peer"), federation=federation, node=node, hosts=hosts, now=now, lifetime=lifetime
    )
    agency = issue_agency_server(
        _load_authority(home, "agency"), federation=federation, node=node, hosts=hosts, now=now, lifetime=lifetime
    )
    for side, issued in (("peer", peer), ("agency", agency)):
        _write_leaf(home / "tls" / f"{side}.crt", home / "tls" / f"{side}.key", issued)


def issue_client(home: Path, agency: AgencyId, *, now: datetime, lifetime: timedelta = LEAF_LIFETIME) -> Path:
    """Issues an agency's certificate, anew where it has one, and returns its folder.

    Raises:
        RuleError: AGENCY_ELSEWHERE for an agency of another node.
    """
    identity = load_identity(home)
    if agency.node != identity.node:
        raise RuleError("AGENCY_ELSEWHERE", f"expected an agency of {identity.node}, got {agency}")
    authority = _load_authority(home, "agency")
    issued = issue_agency_client(authority, federation=identity.federation, agency=agency, now=now, lifetime=lifetime)
    folder = client_folder(home, agency)
    make_private_folder(folder)
    _write_leaf(folder / "client.crt", folder / "client.key", issued)
    write_public(folder / "ca.crt", authority.certificate)
    return folder


def revoke_client(home: Path, agency: AgencyId) -> str:
    """Revokes an agency's certificate and returns its serial; the node refuses it from its next RPC on.

    Raises:
        NotFoundError: FILE_MISSING when the agency has no certificate.
    """
    serial = parse_facts(read_file(client_folder(home, agency) / "client.crt")).serial
    serials = sorted(load_revoked(home) | {serial})
    write_public(home / "tls" / REVOKED_FILE, "".join(f"{entry}\n" for entry in serials).encode())
    return serial


def load_revoked(home: Path) -> frozenset[str]:
    """Loads the serials of revoked agency certificates, lower-case hex.

    Raises:
        MalformedError: REVOKED_SERIAL naming the line that is no serial. A list that cannot be read is never empty.
        NotFoundError: FILE_MISSING when the file is not there.
    """
    text = read_file(home / "tls" / REVOKED_FILE).decode("ascii", "replace")
    serials = set()
    for number, line in enumerate(text.splitlines(), start=1):
        serial = line.strip().lower()
        if serial and not set(serial) <= set("0123456789abcdef"):
            raise MalformedError("REVOKED_SERIAL", f"{REVOKED_FILE}:{number}: expected a serial in hex", line=number)
        if serial:
            serials.add(serial.lstrip("0") or "0")
    return frozenset(serials)


def find_side(home: Path, side: str) -> SideFiles:
    """Finds the files of one side, `peer` or `agency`, and checks that they may be used.

    Raises:
        NotFoundError: KEY_MISSING, FILE_MISSING.
        UntrustedError: KEY_FILE_MODE.
    """
    folder = home / "tls"
    found = SideFiles(
        authority=folder / f"{side}-ca.crt", certificate=folder / f"{side}.crt", key=folder / f"{side}.key"
    )
    read_secret(found.key)
    parse_facts(read_file(found.certificate))
    read_file(found.authority)
    return found


def find_leaves(home: Path) -> dict[str, Facts]:
    """Finds every leaf certificate of a home by its path within the home."""
    paths = [*(home / "tls" / f"{side}.crt" for side in ("peer", "agency")), *home.glob("clients/*/client.crt")]
    return {str(path.relative_to(home)): parse_facts(read_file(path)) for path in sorted(paths) if path.exists()}


def write_profiles(home: Path, *, agency_addr: str, read_url: str) -> tuple[Path, ...]:
    """Writes the connection profile of every agency that has a certificate; returns their paths."""
    identity = load_identity(home)
    written = []
    for folder in sorted(path.parent for path in home.glob("clients/*/client.crt")):
        county, _, kind = folder.name.partition("-")
        agency = AgencyId(identity.node, county, kind)
        text = _format_profile(identity, agency, agency_addr=agency_addr, read_url=read_url)
        write_public(folder / PROFILE_FILE, text.encode())
        written.append(folder / PROFILE_FILE)
    return tuple(written)


def load_profile(path: Path) -> AgencyProfile:
    """Loads a connection profile; its relative paths count from the file's own folder.

    Raises:
        NotFoundError: FILE_MISSING when the file is not there.
        MalformedError: PROFILE naming what is missing, unknown or no string; AGENCY_ID.
    """
    try:
        table = tomllib.loads(read_file(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MalformedError("PROFILE", f"{path}: expected TOML: {error}") from error
    wrong = sorted(table.keys() ^ _PROFILE_NAMES) or sorted(n for n, v in table.items() if not isinstance(v, str))
    if wrong:
        expected = ", ".join(sorted(_PROFILE_NAMES))
        raise MalformedError("PROFILE", f"{path}: expected the strings {expected}; wrong is {wrong[0]!r:.40}")
    return AgencyProfile(
        federation=table["federation"],
        agency=parse_agency_id(table["agency"]),
        node=table["node"],
        agency_addr=table["agency_addr"],
        read_url=table["read_url"],
        ca=path.parent / table["ca"],
        cert=path.parent / table["cert"],
        key=path.parent / table["key"],
    )


def client_folder(home: Path, agency: AgencyId) -> Path:
    """Gives the folder that an agency's certificate and profile lie in."""
    return home / "clients" / f"{agency.county}-{agency.kind}"


def _load_authority(home: Path, side: str) -> Issued:
    folder = home / "tls"
    return Issued(certificate=read_file(folder / f"{side}-ca.crt"), key=read_secret(folder / f"{side}-ca.key"))


def _write_leaf(certificate: Path, key: Path, issued: Issued) -> None:
    write_secret(key, issued.key, replace=True)
    write_public(certificate, issued.certificate)


def _format_profile(identity: Identity, agency: AgencyId, *, agency_addr: str, read_url: str) -> str:
    fields = {
        "federation": identity.federation,
        "agency": str(agency),
        "node": identity.node,
        "agency_addr": agency_addr,
        "read_url": read_url,
        "ca": "ca.crt",
        "cert": "client.crt",
        "key": "client.key",
    }
    return "".join(f'{name} = "{value}"\n' for name, value in fields.items())
