"""TUF metadata as bytes: reading it strictly, whose keys it names, who signed it, and the chain of roots.

Rules kept: only the one form that we write is read; every key is named by the digest of its content and owned by one
node, so that one key never counts twice (GHSA-pwqf-9h7j-7mv8); agreement keys and freshness keys are different; root
and targets need a majority of the nodes (3 of 4), snapshot and timestamp any one of them.
Trusts the pinned root alone; each further root is signed by the thresholds of the old and of the new one.
Source: The Update Framework specification 1.0.34, sections 5.3 and 6; DESIGN section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from msgspec import Struct
from securesystemslib.signer import Key, Signature, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp, VerificationResult
from tuf.api.serialization import DeserializationError, SerializationError

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import MAX_INTEGER
from federation.protocol.ids import NodeName, parse_node_name
from federation.protocol.keys import PublicKey, Signer, Suite, admit_public_key

MAX_METADATA_BYTES = 512 * 1024
MAX_ROOTS = 256
OWNER_FIELD = "x-bridgehead-node"
"""The name under which a key of the root says whose it is; TUF leaves such fields to the user, and they are signed."""

AGREEMENT_ROLES = ("root", "targets")
FRESHNESS_ROLES = ("snapshot", "timestamp")
Draft: TypeAlias = Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]
S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


class Signing(Struct, frozen=True, kw_only=True):
    signed: tuple[NodeName, ...]
    missing: tuple[NodeName, ...]
    threshold: int
    complete: bool


def majority(nodes: int) -> int:
    return nodes // 2 + 1


def read_metadata(encoded: bytes, kind: type[S], *, what: str) -> Metadata[S]:
    """Reads metadata of a kind, nothing verified; refuses another form or length (AGREEMENT_FORM, AGREEMENT_SIZE)."""
    metadata = Metadata[S].from_bytes(_require_canonical(encoded, what=what))
    if not isinstance(metadata.signed, kind) or type(metadata.signed.version) is not int:
        raise MalformedError("AGREEMENT_FORM", f"{what}: expected TUF metadata of type {kind.__name__.lower()}")
    if not 1 <= metadata.signed.version <= MAX_INTEGER:
        raise MalformedError("AGREEMENT_FORM", f"{what}: expected a version from 1 to {MAX_INTEGER}")
    return metadata


def read_draft(encoded: bytes) -> Draft:
    """Reads metadata of any kind, nothing verified; refuses as `read_metadata`."""
    draft: Draft = Metadata.from_bytes(_require_canonical(encoded, what="draft"))
    return draft


def owner_of(key: Key) -> NodeName:
    """Returns the node that a key of the root belongs to; refuses a key that does not say (AGREEMENT_FORM)."""
    owner = key.unrecognized_fields.get(OWNER_FIELD)
    if not isinstance(owner, str):
        raise MalformedError("AGREEMENT_FORM", f"root: expected every key to name its node as {OWNER_FIELD!r}")
    return parse_node_name(owner)


def tuf_key(public_key: PublicKey, owner: NodeName) -> SSlibKey:
    """Returns the TUF form of a public key, named by the digest of its content."""
    key = _nameless_key(public_key)
    key.unrecognized_fields[OWNER_FIELD] = owner
    return key


def admit_tuf_key(key: Key) -> PublicKey:
    """Admits a key of the root; refuses another form (AGREEMENT_FORM), a name not its digest (AGREEMENT_KEY)."""
    public = str(key.keyval.get("public"))
    try:
        if (key.keytype, key.scheme) == ("ed25519", "ed25519"):
            found = PublicKey(Suite.ED25519, bytes.fromhex(public))
        elif (key.keytype, key.scheme) == ("ecdsa", "ecdsa-sha2-nistp256"):
            spki = load_pem_public_key(public.encode())
            found = PublicKey(Suite.ECDSA_P256, spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        else:
            raise MalformedError("AGREEMENT_FORM", f"root: expected an ed25519 or P-256 key, got {key.scheme!r:.40}")
        again = tuf_key(admit_public_key(found), owner_of(key))
    except (ValueError, TypeError, AttributeError) as error:
        raise MalformedError("AGREEMENT_FORM", "root: expected public keys as hex (ed25519) or PEM (P-256)") from error
    if again.keyid != key.keyid or again.keyval != key.keyval:
        raise UntrustedError("AGREEMENT_KEY", f"root: expected key {key.keyid:.64} under the digest of its content")
    return found


def role_keys(root: Root, role: str) -> Mapping[NodeName, PublicKey]:
    """Returns the one key of each node for a role, admitted; refuses two of one node (AGREEMENT_KEY) or none."""
    found: dict[NodeName, PublicKey] = {}
    for keyid in root.roles[role].keyids:
        if keyid not in root.keys:
            raise MalformedError("AGREEMENT_FORM", f"root: expected a key for every id of the role {role}")
        key = root.keys[keyid]
        owner = owner_of(key)
        if owner in found:
            raise UntrustedError("AGREEMENT_KEY", f"root: expected one key of {owner} for {role}, got two", node=owner)
        found[owner] = admit_tuf_key(key)
    return found


def waiting_keys(root: Root) -> Mapping[NodeName, PublicKey]:
    """Returns the agreement key of each node that has no vote yet, which no role names (AGREEMENT_KEY for two)."""
    named = {keyid for role in root.roles.values() for keyid in role.keyids}
    waiting = [key for keyid, key in root.keys.items() if keyid not in named]
    found = {owner_of(key): admit_tuf_key(key) for key in waiting}
    if len(found) != len(waiting):
        raise UntrustedError("AGREEMENT_KEY", "root: expected one key of each node that has no vote yet, got two")
    return found


def verify_offices(root: Root) -> Root:
    """Returns a root that gives each node two keys, once, and each role its threshold (AGREEMENT_KEY, _THRESHOLD).

    The agreement key of a node on trial is in no role: it signs nothing that counts until the node exchanges all.
    """
    keys = {role: role_keys(root, role) for role in (*AGREEMENT_ROLES, *FRESHNESS_ROLES)}
    agreement, freshness, waiting = keys["root"], keys["timestamp"], waiting_keys(root)
    are_same = keys["targets"] == agreement and keys["snapshot"] == freshness
    if not are_same or agreement.keys() & waiting.keys() or agreement.keys() | waiting.keys() != freshness.keys():
        raise UntrustedError("AGREEMENT_KEY", "root: expected one agreement key and one freshness key of each node")
    verify_distinct((*agreement.values(), *freshness.values(), *waiting.values()))
    for role, threshold in ((role, root.roles[role].threshold) for role in keys):
        least = majority(len(agreement)) if role in AGREEMENT_ROLES else 1
        if not least <= threshold <= len(agreement):
            raise UntrustedError(
                "AGREEMENT_THRESHOLD", f"root: expected {role} to need {least} to {len(agreement)}, got {threshold}"
            )
    return root


def verify_distinct(keys: Iterable[PublicKey]) -> None:
    """Refuses a key that is used twice, by another node or in another office (AGREEMENT_KEY)."""
    seen: set[str] = set()
    for key in keys:
        if key.key_id in seen:
            raise UntrustedError("AGREEMENT_KEY", f"expected every key once, got {key.key_id} twice", key=key.key_id)
        seen.add(key.key_id)


def verify_roots(roots: Sequence[bytes], *, trusted_root: bytes) -> Root:
    """Returns the last of a chain of roots from the pinned one; refuses AGREEMENT_ROOT, _SIGNATURES, _FORM."""
    if not 1 <= len(roots) <= MAX_ROOTS:
        raise MalformedError("AGREEMENT_FORM", f"expected 1 to {MAX_ROOTS} root files, got {len(roots)}")
    verify_pinned(roots[0], trusted_root=trusted_root)
    previous: Root | None = None
    for version, encoded in enumerate(roots, start=1):
        what = f"root {version}"
        metadata = read_metadata(encoded, Root, what=what)
        if metadata.signed.version != version:
            raise MalformedError("AGREEMENT_FORM", f"expected {what}, got version {metadata.signed.version}")
        verify_offices(metadata.signed)
        require_signing(_root_signing(metadata, previous), what=what)
        previous = metadata.signed
    assert previous is not None
    return previous


def verify_pinned(root: bytes, *, trusted_root: bytes) -> bytes:
    """Returns a first root that says what the pinned one says, whoever signed it; refuses others (AGREEMENT_ROOT)."""
    same = root == trusted_root or (
        read_metadata(root, Root, what="root 1").signed_bytes
        == read_metadata(trusted_root, Root, what="pinned root").signed_bytes
    )
    if not same:
        raise UntrustedError("AGREEMENT_ROOT", "expected the first root to be the one that this node has pinned")
    return root


def root_digest(root: bytes) -> str:
    """The name of a root: the SHA-256 (hex) of what it says, whoever has signed it since (AGREEMENT_FORM)."""
    return sha256(read_metadata(root, Root, what="root").signed_bytes).hexdigest()


def verify_role(encoded: bytes, kind: type[S], *, root: Root) -> S:
    """Returns a file signed as the root in force asks; AGREEMENT_SIGNATURES names who signed and who is missing."""
    what = kind.__name__.lower()
    metadata = read_metadata(encoded, kind, what=what)
    require_signing(_role_signing(metadata, root), what=what)
    return metadata.signed


def who_signed(metadata: bytes, root: bytes) -> Signing:
    """Returns who has signed a draft and who has not, under the root in force (for a first root: itself)."""
    in_force = verify_offices(read_metadata(root, Root, what="root").signed)
    draft = read_draft(metadata)
    if not isinstance(draft.signed, Root):
        return _role_signing(draft, in_force)
    verify_offices(draft.signed)
    previous = None if draft.signed.version == in_force.version else in_force
    return _root_signing(read_metadata(metadata, Root, what="root"), previous)


def require_signing(signing: Signing, *, what: str) -> Signing:
    """Returns the signing when its threshold is met; AGREEMENT_SIGNATURES names who signed and who is missing."""
    if not signing.complete:
        signed, missing = ", ".join(signing.signed) or "-", ", ".join(signing.missing)
        raise UntrustedError(
            "AGREEMENT_SIGNATURES",
            f"{what}: expected {signing.threshold} signatures, got {len(signing.signed)}: signed by {signed}; "
            f"missing {missing}",
            signed=signed, missing=missing, threshold=signing.threshold,
        )  # fmt: skip
    return signing


def sign_metadata(metadata: bytes, signer: Signer) -> bytes:
    """Returns a metadata file with this signer's signature added, or replaced where that key had signed before."""
    draft = read_draft(metadata)
    keyid = _nameless_key(signer.public_key).keyid
    draft.signatures[keyid] = Signature(keyid, signer.sign(draft.signed_bytes).hex())
    return _encode_sorted(draft)


def merge_signatures(one: bytes, other: bytes) -> bytes:
    """Merges the signatures of two copies of one draft; refuses two drafts (AGREEMENT_FORM)."""
    first, second = (read_draft(encoded) for encoded in (one, other))
    if first.signed_bytes != second.signed_bytes:
        raise MalformedError("AGREEMENT_FORM", "expected two copies of one draft, got two drafts")
    first.signatures.update(second.signatures)
    return _encode_sorted(first)


def encode_unsigned(signed: S) -> bytes:
    return Metadata[S](signed).to_bytes()


def _nameless_key(public_key: PublicKey) -> SSlibKey:
    if public_key.suite is Suite.ED25519:
        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(public_key.key))
    return SSlibKey.from_crypto(load_der_public_key(public_key.key))


def _require_canonical(encoded: bytes, *, what: str) -> bytes:
    if len(encoded) > MAX_METADATA_BYTES:
        raise MalformedError(
            "AGREEMENT_SIZE", f"{what}: expected at most {MAX_METADATA_BYTES} bytes, got {len(encoded)}"
        )
    try:
        read: Draft = Metadata.from_bytes(encoded)
        again = read.to_bytes()
    except (DeserializationError, SerializationError) as error:
        raise MalformedError("AGREEMENT_FORM", f"{what}: expected TUF metadata in JSON") from error
    if again != encoded:
        raise MalformedError("AGREEMENT_FORM", f"{what}: expected compact JSON with sorted names, each once")
    if any(entry.signature != entry.signature.lower() for entry in read.signatures.values()):
        raise MalformedError("AGREEMENT_FORM", f"{what}: expected signatures in lower-case hex")
    return encoded


def _encode_sorted(metadata: Draft) -> bytes:
    metadata.signatures = dict(sorted(metadata.signatures.items()))
    return metadata.to_bytes()


def _role_signing(metadata: Draft, root: Root) -> Signing:
    role = metadata.signed.type
    try:
        result = root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise MalformedError("AGREEMENT_FORM", f"{role}: expected a role that the root knows") from error
    return _signing((result,))


def _root_signing(metadata: Metadata[Root], previous: Root | None) -> Signing:
    try:
        result = metadata.signed.get_root_verification_result(previous, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise MalformedError("AGREEMENT_FORM", "root: expected the version after the root in force") from error
    return _signing((result.first, result.second))


def _signing(results: Sequence[VerificationResult]) -> Signing:
    """Of a root and the one before it, the members of that one are asked first: who joins admits nobody."""
    counted = results if results[0].verified else results[:1]
    asked = {owner_of(key) for each in counted for keys in (each.signed, each.unsigned) for key in keys.values()}
    missing = {owner_of(key) for result in results for key in result.unsigned.values()} & asked
    signed = {owner_of(key) for result in results for key in result.signed.values()} & asked - missing
    return Signing(
        signed=tuple(sorted(signed)),
        missing=tuple(sorted(missing)),
        threshold=max(result.threshold for result in counted),
        complete=all(result.verified for result in results),
    )
