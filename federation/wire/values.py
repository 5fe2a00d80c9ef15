"""What several subjects ask and answer with: who acts, what policy said; and how a client reaches its node."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from federation.protocol.policy.book import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate (PEM, leaf first) and its ECDSA P-256 key (PEM). Replacing the files needs no restart."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """How an agency reaches its node: `host:port`, its certificate, the node's CA, the name in the node's certificate.

    `server_name` is `<node>.<federation>`; None takes the host of the address.
    """

    address: str
    tls: TlsFiles
    authority: Path
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts within the agency, and what for; `request_id` is the idempotency key, a UUID."""

    request_id: str
    purpose: str
    function: str
    officer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling(Decision):
    """A decision, under which agreement it was made; the explanations are empty unless policy refused."""

    agreement_version: int
    explanation_zh: str = ""
    explanation_en: str = ""


def ruling_of(
    decision: Decision, *, agreement_version: int, explanation_zh: str = "", explanation_en: str = ""
) -> Ruling:
    """A decision as a ruling under that version of the agreement."""
    return Ruling(
        **{each.name: getattr(decision, each.name) for each in fields(Decision)},
        agreement_version=agreement_version,
        explanation_zh=explanation_zh,
        explanation_en=explanation_en,
    )


@dataclass(frozen=True, slots=True)
class Nothing:
    """The question of an RPC that asks for all there is."""
