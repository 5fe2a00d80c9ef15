"""Two logs against each other, where `test_run` does not reach."""

from __future__ import annotations

from federation.audit.leaves import rules_of
from federation.audit.report import Code, Finding, PairLine
from federation.audit.verify_log import LogAccount, LogCheck, LogTask
from federation.audit.verify_pair import compare_pair
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import LeafKind, decode_leaf, encode_leaf
from federation.protocol.tlog.tiles import encode_bundle
from tests.audit.provinces import JIANGXI, NOW, ZHEJIANG, Provinces

PAIR = Pair(ZHEJIANG, JIANGXI)


def account(provinces: Provinces, node: NodeName) -> LogAccount:
    province = provinces[node]
    size = len(province.entries)
    task = LogTask(node=node, head=province.head(), settled_size=size)
    check = LogCheck(task, rules_of(provinces.agreement, NOW))
    if size:
        check.append_bundle(encode_bundle(province.entries), size)
    return check.finish()


def compare(provinces: Provinces, **changes: LogAccount) -> tuple[PairLine, tuple[Finding, ...]]:
    sides = {"sender": account(provinces, ZHEJIANG), "receiver": account(provinces, JIANGXI), **changes}
    return compare_pair(PAIR, rules=rules_of(provinces.agreement, NOW), **sides)


def codes(compared: tuple[PairLine, tuple[Finding, ...]]) -> list[Code]:
    return [finding.code for finding in compared[1]]


def test_message_that_expired_and_arrived_is_a_warning() -> None:
    """The receipt was lost, then the time ran out: nobody lied, a human should know."""
    provinces = Provinces()
    provinces.expire(provinces.exchange(ZHEJIANG, JIANGXI))

    compared = compare(provinces)

    assert codes(compared) == [Code.EXPIRED_RECEIVED]
    assert (compared[0].received, compared[0].expired) == (1, 0)


def test_message_that_expired_and_was_never_sent_is_found() -> None:
    """Only what was sent can expire."""
    provinces = Provinces()
    provinces.expire(provinces.send(ZHEJIANG, JIANGXI))
    del provinces[ZHEJIANG].entries[0]

    assert codes(compare(provinces)) == [Code.EXPIRED_UNSENT]


def test_message_that_expired_under_another_digest_is_found() -> None:
    """What expires is the statement that was sent."""
    provinces = Provinces()
    provinces.expire(provinces.send(ZHEJIANG, JIANGXI))
    entries = provinces[ZHEJIANG].entries
    entries[1] = encode_leaf(replace(decode_leaf(entries[1]), subject="00" * 32))

    assert codes(compare(provinces)) == [Code.DIGEST_DIFFERS]


def test_message_judged_under_an_older_agreement_than_it_cites_is_found() -> None:
    """A receiver that does not know the cited version cannot judge by it."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    entries = provinces[JIANGXI].entries
    entries[0] = encode_leaf(replace(decode_leaf(entries[0]), agreement_version=0))

    assert codes(compare(provinces)) == [Code.AGREEMENT_BEHIND]


def test_message_that_the_receiver_disputes_is_not_outstanding() -> None:
    """A logged discrepancy accounts for a message that could not be decided."""
    provinces = Provinces()
    message = provinces.send(ZHEJIANG, JIANGXI)
    leaf = replace(
        provinces.leaf(message.statement, message.envelope),
        kind=LeafKind.DISCREPANCY,
        reason="SEQUENCE_REUSED",
        commitment=None,
        policies=(),
    )
    provinces[JIANGXI].append(leaf)

    compared = compare(provinces)

    assert codes(compared) == []
    assert compared[0].in_flight == 0


def test_log_that_was_not_read_whole_proves_nothing_missing() -> None:
    """Absence is judged only where everything was seen."""
    provinces = Provinces()
    provinces.exchange(ZHEJIANG, JIANGXI)
    provinces.expire(provinces.send(ZHEJIANG, JIANGXI))
    nothing = Provinces()
    unread = {node: replace(account(nothing, node), complete=False) for node in (ZHEJIANG, JIANGXI)}

    without_receiver = compare(provinces, receiver=unread[JIANGXI])
    without_sender = compare(provinces, sender=unread[ZHEJIANG])

    assert (codes(without_receiver), without_receiver[0].compared) == ([], False)
    assert (codes(without_sender), without_sender[0].compared) == ([], False)
