"""A day of three provinces, the audit run over it, and what the audit found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from federation.audit.report import Code, Finding, Severity
from federation.audit.run import Audit, Options, Outcome, audit_federation
from federation.protocol.ids import NodeName
from tests.audit.provinces import FUJIAN, JIANGXI, NOW, ZHEJIANG, Provinces


def a_border_day() -> Provinces:
    """Three provinces; some messages both ways, one refused, one expired, one still in flight."""
    provinces = Provinces(ZHEJIANG, JIANGXI, FUJIAN)
    for _ in range(5):
        provinces.exchange(ZHEJIANG, JIANGXI)
        provinces.exchange(JIANGXI, ZHEJIANG)
    provinces.exchange(ZHEJIANG, FUJIAN, refused=True)
    provinces.expire(provinces.send(FUJIAN, JIANGXI))
    provinces.send(FUJIAN, ZHEJIANG)
    provinces.cosign_all()
    return provinces


def run(
    provinces: Provinces,
    *,
    listed: bool = True,
    remembered: Mapping[str, bytes] | None = None,
    options: Options | None = None,
) -> Outcome:
    """One audit of these provinces, with their listings or on the logs alone."""
    audit = Audit(
        agreement=provinces.agreement,
        sources=provinces.nodes,
        listers={node: provinces.lister(node) for node in provinces.nodes} if listed else {},
        remembered=remembered or {},
        options=options or Options(),
        now=lambda: NOW,
    )
    return asyncio.run(audit_federation(audit))


def found(outcome: Outcome) -> set[tuple[Code, NodeName, int | None]]:
    """What was found, where: code, node and index of the entry."""
    return {(finding.code, finding.node, finding.index) for finding in outcome.report.findings}


def codes(outcome: Outcome) -> set[Code]:
    """The codes of all findings."""
    return {finding.code for finding in outcome.report.findings}


def errors(outcome: Outcome) -> list[Finding]:
    """The findings that fail an audit."""
    return [finding for finding in outcome.report.findings if finding.severity is Severity.ERROR]
