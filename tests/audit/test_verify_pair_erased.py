"""What both sides held is erased on both: who still holds it a while later is named."""

from __future__ import annotations

from datetime import timedelta

from federation.audit.report import Code, Severity
from federation.domain.erasure import ErasureGrounds
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import LeafKind
from tests.audit.provinces import JIANGXI, NOW, ZHEJIANG, Message, Provinces
from tests.audit.test_verify_pair_unanswered import found


def exchanged(*, hours: float, refused: bool = False) -> tuple[Provinces, Message]:
    """One message that Jiangxi decided so long ago."""
    provinces = Provinces(ZHEJIANG, JIANGXI, start=NOW - timedelta(hours=hours))
    message = provinces.send(ZHEJIANG, JIANGXI)
    provinces.decide(message, refused=refused)
    return provinces, message


def erase(provinces: Provinces, message: Message, *nodes: NodeName) -> None:
    for node in nodes:
        leaf = replace(
            provinces.leaf(message.statement, message.envelope), kind=LeafKind.ERASURE, signatures=None, verdict=None,
            policies=(), reason=ErasureGrounds.EXPIRED.value, time=provinces.tick(),
        )  # fmt: skip
        provinces[node].append(leaf)


def test_erasure_on_both_sides_is_no_finding() -> None:
    """Both leaves name the same message."""
    provinces, message = exchanged(hours=3)
    erase(provinces, message, ZHEJIANG, JIANGXI)

    assert found(provinces) == []


def test_erasure_on_one_side_names_the_other_once_a_receipt_is_overdue() -> None:
    """Whichever side it is; a receipt that may be on its way is none."""
    for one, other in ((ZHEJIANG, JIANGXI), (JIANGXI, ZHEJIANG)):
        provinces, message = exchanged(hours=3)
        erase(provinces, message, one)
        (finding,) = found(provinces)
        assert (finding.code, finding.severity, finding.node) == (Code.ERASURE_ONE_SIDED, Severity.WARNING, other)

    provinces, message = exchanged(hours=0.5)
    erase(provinces, message, JIANGXI)
    assert found(provinces) == []


def test_erasure_of_what_the_other_side_never_held_is_no_finding() -> None:
    """Of a refused message no body is kept."""
    provinces, message = exchanged(hours=3, refused=True)
    erase(provinces, message, ZHEJIANG)

    assert found(provinces) == []
