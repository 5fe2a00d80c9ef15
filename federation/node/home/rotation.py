"""Replacing a key: begin, have the next agreement name the successor, finish. The home's bundle is current after each.

Rules kept: the key that the others verify is never destroyed before the agreement in force names its successor; what
would hinder the bundle hinders the rotation before anything is changed.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Root

from federation.node.home.agreement import has_agreement, load_home_agreement, read_agreement_files
from federation.node.home.keyring import Office, finish_rotation, load_identity, rotate_key
from federation.node.home.setup import member_bundle, write_bundle
from federation.protocol.errors import RuleError
from federation.protocol.keys import PublicKey
from federation.protocol.trust import message_keys_at
from federation.protocol.trust.draft import decode_bundle
from federation.protocol.trust.members import MAX_MESSAGE_KEYS
from federation.protocol.trust.metadata import read_metadata, role_keys, waiting_keys


def begin(home: Path, office: Office, *, now: datetime, starts: datetime | None = None) -> PublicKey:
    """Makes a key's successor and names it in the bundle. Refuses KEY_LIMIT, and as `rotate_key`, `member_bundle`."""
    bundle = decode_bundle(member_bundle(home, now=now))
    if office is Office.MESSAGE and len(bundle.member.message_keys) >= MAX_MESSAGE_KEYS:
        raise RuleError("KEY_LIMIT", f"expected fewer than {MAX_MESSAGE_KEYS} message keys, retired ones included")
    key = rotate_key(home, office, now=now, starts=starts)
    write_bundle(home, now=now)
    return key


def finish(home: Path, office: Office, *, now: datetime) -> PublicKey:
    """Puts the successor in place, and tells in the bundle when the old key ends. Refuses as `finish_rotation`."""
    member_bundle(home, now=now)
    key = finish_rotation(home, office, agreed=agreed_keys(home, office, now=now))
    write_bundle(home, now=now)
    return key


def agreed_keys(home: Path, office: Office, *, now: datetime) -> frozenset[PublicKey]:
    """Returns this node's keys for an office under the agreement in force in its home; none without an agreement."""
    if not has_agreement(home):
        return frozenset()
    agreement, node = load_home_agreement(home, now=now), load_identity(home).node
    if office is Office.MESSAGE:
        return frozenset(message_keys_at(agreement, node, now))
    keys = agreement.freshness_keys
    if office is Office.AGREEMENT:
        root = read_metadata(read_agreement_files(home).roots[-1], Root, what="root").signed
        keys = {**role_keys(root, "root"), **waiting_keys(root)}
    return frozenset(key for name, key in keys.items() if name == node)
