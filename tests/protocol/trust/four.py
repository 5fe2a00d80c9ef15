"""A federation of four provinces in memory: seeds, bundles, signed agreement files. Every key is derived from a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, Realm
from federation.protocol.keys import Ed25519Signer
from federation.protocol.tlog.note import KeyKind, Vkey, format_vkey
from federation.protocol.trust.agreement import Agreement, AgreementFiles, load_agreement
from federation.protocol.trust.draft import (
    Bundle,
    draft_files,
    draft_root,
    draft_targets,
    make_snapshot,
    make_timestamp,
)
from federation.protocol.trust.members import Agency, Member, MessageKey, Terms, format_log_origin, format_witness_name
from federation.protocol.trust.metadata import sign_metadata

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FEDERATION = "bridgehead.example"
NODES = tuple(NodeName(name) for name in ("zhejiang", "jiangxi", "fujian", "anhui"))
ZHEJIANG, JIANGXI, FUJIAN, ANHUI = NODES
FRESH = timedelta(days=2)
TERMS = Terms(
    federation=FEDERATION,
    realm=Realm.DEMO,
    clock_tolerance_seconds=60,
    statement_lifetime_seconds=3 * 86_400,
    lapse_grace_seconds=7 * 86_400,
    recognition_modes=frozenset({"card", "time"}),
)
POLICIES = {"policies/schema.cedarschema": b"namespace Bridgehead {}\n", "policies/permits.cedar": b"// none yet\n"}


def signer(node: str, office: str) -> Ed25519Signer:
    """The signer of a node for an office, derived from both names."""
    return Ed25519Signer(sha256(f"test {node} {office}".encode()).digest())


def vkey(node: str, office: str, kind: KeyKind, name: str) -> str:
    return format_vkey(Vkey(name=name, kind=kind, public_key=signer(node, office).public_key.key))


@cache
def authority(node: str) -> str:
    """A certificate authority of its own for a node, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{node} peer authority")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=3650))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def member(node: NodeName) -> Member:
    agency = AgencyId(node, "330822", "police")
    witness = format_witness_name(FEDERATION, node)
    return Member(
        node=node,
        name=f"{node} 省",
        peer_addr="127.0.0.1:7101",
        read_url="http://127.0.0.1:7103",
        message_keys=(MessageKey(key=signer(node, "message").public_key, valid_from=NOW - timedelta(days=1)),),
        log_vkey=vkey(node, "log", KeyKind.ED25519, format_log_origin(FEDERATION, node, 2026)),
        witness_vkey=vkey(node, "witness", KeyKind.COSIGNATURE, witness),
        tls_ca=authority(node),
        agencies={agency: Agency(name="常山县公安局", functions=frozenset({"F02", "F07"}))},
    )


def bundle(node: NodeName, *, agreement: str = "agreement", freshness: str = "freshness") -> Bundle:
    return Bundle(
        federation=FEDERATION,
        member=member(node),
        agreement_key=signer(node, agreement).public_key,
        freshness_key=signer(node, freshness).public_key,
    )


def signed(metadata: bytes, *offices: tuple[str, str]) -> bytes:
    """Metadata signed by (node, office) pairs."""
    for node, office in offices:
        metadata = sign_metadata(metadata, signer(node, office))
    return metadata


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one version is made; tests replace the one thing they are about."""

    bundles: tuple[Bundle, ...] = field(default_factory=lambda: tuple(bundle(node) for node in NODES))
    roots: tuple[bytes, ...] = ()
    files: Mapping[str, bytes] | None = None
    policies: Mapping[str, bytes] = field(default_factory=lambda: POLICIES)
    terms: Terms = TERMS
    version: int = 1
    snapshot_version: int = 1
    timestamp_version: int = 1
    signers: tuple[tuple[str, str], ...] = tuple((node, "agreement") for node in NODES[:3])
    refresher: tuple[str, str] = (ANHUI, "freshness")
    now: datetime = NOW
    content_lifetime: timedelta = timedelta(days=365)


def build(plan: Plan) -> AgreementFiles:
    """All files of a version, signed as planned; the first root is made when no chain is given."""
    end = plan.now + plan.content_lifetime
    roots = plan.roots or (signed(draft_root(plan.bundles, expires_time=end), *plan.signers),)
    files = plan.files
    if files is None:
        files = draft_files(plan.bundles, terms=plan.terms, policies=plan.policies)
    targets = signed(draft_targets(files, version=plan.version, expires_time=end), *plan.signers)
    return refreshed(AgreementFiles(roots=roots, timestamp=b"", snapshot=b"", targets=targets, files=files), plan)


def refreshed(files: AgreementFiles, plan: Plan) -> AgreementFiles:
    """The same targets under a new snapshot and timestamp."""
    snapshot = make_snapshot(files.targets, version=plan.snapshot_version, now=plan.now, lifetime=FRESH)
    snapshot = signed(snapshot, plan.refresher)
    timestamp = make_timestamp(snapshot, version=plan.timestamp_version, now=plan.now, lifetime=FRESH)
    return replace(files, snapshot=snapshot, timestamp=signed(timestamp, plan.refresher))


def load(files: AgreementFiles, *, previous: Agreement | None = None, now: datetime = NOW) -> Agreement:
    return load_agreement(files, trusted_root=files.roots[0], now=now, previous=previous)
