"""The member sheet `nodes/<province>/member.toml`, and the bundle that it becomes with the home's public keys.

Rules kept: unknown names are refused; agencies belong to the node; the bundle is read back and admitted before it is
handed out, so that no province learns from the others that its own keys are no good.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from federation.node.home.keyring import Keyring, load_keyring
from federation.node.home.secret_files import read_file
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id, parse_node_name
from federation.protocol.keys import Signer
from federation.protocol.tlog.note import format_vkey
from federation.protocol.trust.draft import Bundle, decode_bundle, encode_bundle
from federation.protocol.trust.members import Agency, Member, MessageKey

_NAMES = frozenset({"node", "name", "peer_addr", "read_url", "revoked_serials", "agency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSheet:
    """What a province tells the others about itself, keys apart."""

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
    try:
        table = tomllib.loads(read_file(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MalformedError("MEMBER_SHEET", f"{path}: expected TOML: {error}") from error
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
    """The agencies that get a client certificate."""
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
