"""What a node lists for auditors, against keys and against its own log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from federation.audit.leaves import rules_of
from federation.audit.report import Code
from federation.audit.verify_listing import ListingAccount, ListingCheck, compare_listing
from federation.audit.verify_log import LogAccount, LogCheck, LogTask
from federation.protocol.envelope import parse_envelope, sign_envelope
from federation.protocol.form import replace
from federation.protocol.ids import Pair
from federation.protocol.receipt import Receipt
from federation.protocol.statement import AgreementRef, Statement, encode_statement
from federation.protocol.tlog.tiles import encode_bundle
from federation.wire.agency.audit import LoggedMessage
from tests.audit.provinces import JIANGXI, NOW, START, ZHEJIANG, Provinces, signer_of

PAIR = Pair(ZHEJIANG, JIANGXI)


@pytest.fixture
def provinces() -> Provinces:
    found = Provinces()
    found.exchange(ZHEJIANG, JIANGXI)
    found.exchange(ZHEJIANG, JIANGXI)
    return found


def listed(provinces: Provinces) -> list[LoggedMessage]:
    return [
        LoggedMessage(
            seq=message.statement.seq,
            envelope=message.envelope.encoded,
            log_index=message.index,
            receipt=message.receipt,
        )
        for message in provinces.messages[PAIR]
    ]


def check(provinces: Provinces, messages: list[LoggedMessage]) -> ListingAccount:
    checking = ListingCheck(ZHEJIANG, PAIR, agreement=provinces.agreement, listed_time=NOW)
    for message in messages:
        checking.append(message)
    return checking.finish()


def account(provinces: Provinces) -> LogAccount:
    province = provinces[ZHEJIANG]
    reading = LogCheck(LogTask(node=ZHEJIANG, head=province.head()), rules_of(provinces.agreement, NOW))
    reading.append_bundle(encode_bundle(province.entries), len(province.entries))
    return reading.finish()


def codes(findings: tuple[object, ...]) -> list[Code]:
    return [finding.code for finding in findings]  # type: ignore[attr-defined]


def resigned(provinces: Provinces, change: Callable[[Statement], Statement]) -> LoggedMessage:
    first = listed(provinces)[0]
    statement = change(provinces.messages[PAIR][0].statement)
    return replace(
        first, envelope=sign_envelope(encode_statement(statement), provinces[ZHEJIANG].message_signer), receipt=None
    )


def test_listing_of_honest_messages_has_no_finding(provinces: Provinces) -> None:
    """Envelopes, receipts and leaves agree: nothing to say, and the heads of the receipts are handed on."""
    listing = check(provinces, listed(provinces))

    assert listing.findings == ()
    assert listing.receipted == {1, 2}
    assert {head.size for head in listing.heads.in_order()} == {1, 2}
    assert compare_listing(listing, account(provinces)) == ()


def test_envelope_by_another_key_is_invalid(provinces: Provinces) -> None:
    """Only a key that the agreement gives the sender signs for it."""
    message = listed(provinces)[0]
    payload = parse_envelope(message.envelope).payload

    listing = check(provinces, [replace(message, envelope=sign_envelope(payload, signer_of("a stranger")))])

    assert codes(listing.findings) == [Code.ENVELOPE_INVALID]


def test_envelope_from_before_the_key_was_valid_is_invalid(provinces: Provinces) -> None:
    """A key counts at the time of the statement, not at that of the audit."""
    early = START - timedelta(days=2)

    listing = check(provinces, [resigned(provinces, lambda statement: replace(statement, created=early))])

    assert codes(listing.findings) == [Code.ENVELOPE_INVALID]


@pytest.mark.parametrize(
    "change",
    [
        lambda statement: replace(statement, seq=9),
        lambda statement: replace(statement, federation="other.example"),
        lambda statement: replace(statement, agreement=AgreementRef(version=1, digest="00" * 32)),
    ],
    ids=["another number", "another federation", "another agreement text"],
)
def test_statement_that_says_something_else_differs(
    provinces: Provinces, change: Callable[[Statement], Statement]
) -> None:
    """The statement is about this number of this pair, in this federation, under this agreement."""
    listing = check(provinces, [resigned(provinces, change)])

    assert Code.STATEMENT_DIFFERS in codes(listing.findings)


def test_receipt_of_another_log_is_invalid(provinces: Provinces) -> None:
    """A receipt is signed by the receiver's log, not by the sender's."""
    message = listed(provinces)[0]
    own = provinces[ZHEJIANG].receipt(message.log_index)

    assert codes(check(provinces, [replace(message, receipt=own)]).findings) == [Code.RECEIPT_INVALID]


def test_receipt_for_another_message_is_invalid(provinces: Provinces) -> None:
    """A receipt is for one statement."""
    first, second = listed(provinces)

    assert codes(check(provinces, [replace(first, receipt=second.receipt)]).findings) == [Code.RECEIPT_INVALID]


def test_receipt_with_a_broken_proof_is_invalid(provinces: Provinces) -> None:
    """A receipt that proves nothing is none."""
    message = listed(provinces)[0]
    assert message.receipt is not None
    broken = Receipt(leaf=message.receipt.leaf, proof=message.receipt.proof[:-1])

    listing = check(provinces, [replace(message, receipt=broken)])

    assert codes(listing.findings) == [Code.RECEIPT_INVALID]
    assert listing.receipted == frozenset()


def test_other_statement_under_the_same_number_differs_from_the_leaf(provinces: Provinces) -> None:
    """What is shown to auditors is what was logged."""
    other = resigned(provinces, lambda statement: replace(statement, basis="something else"))
    listing = check(provinces, [other, listed(provinces)[1]])

    findings = compare_listing(listing, account(provinces))

    assert codes(findings) == [Code.STATEMENT_DIFFERS]
    assert "digest, signatures" in findings[0].sentence


def test_wrong_index_differs_from_the_leaf(provinces: Provinces) -> None:
    """The index is where the leaf stands."""
    first, second = listed(provinces)
    listing = check(provinces, [replace(first, log_index=1), second])

    assert codes(compare_listing(listing, account(provinces))) == [Code.STATEMENT_DIFFERS]


def test_message_that_is_listed_and_not_logged_is_found(provinces: Provinces) -> None:
    """Nothing is exchanged that is not logged."""
    messages = listed(provinces)
    del provinces[ZHEJIANG].entries[1]

    findings = compare_listing(check(provinces, [messages[0], replace(messages[1], log_index=0)]), account(provinces))

    assert codes(findings) == [Code.LISTED_NOT_LOGGED]


def test_message_that_is_listed_beyond_the_head_is_no_finding(provinces: Provinces) -> None:
    """What was logged after the head was fetched cannot be compared yet."""
    messages = listed(provinces)
    del provinces[ZHEJIANG].entries[1]

    assert compare_listing(check(provinces, messages), account(provinces)) == ()


def test_message_that_is_logged_and_not_listed_is_found(provinces: Provinces) -> None:
    """A node shows an auditor every envelope that its log names."""
    findings = compare_listing(check(provinces, listed(provinces)[:1]), account(provinces))

    assert [(finding.code, finding.index) for finding in findings] == [(Code.LOGGED_NOT_LISTED, 1)]


def test_message_that_was_logged_after_the_listing_began_need_not_be_listed(provinces: Provinces) -> None:
    """A log grows while it is audited."""
    listing = replace(check(provinces, []), listed_time=START)

    assert compare_listing(listing, account(provinces)) == ()


def test_message_that_is_listed_twice_is_found(provinces: Provinces) -> None:
    """One number, one message."""
    messages = listed(provinces)

    findings = compare_listing(check(provinces, [messages[0], *messages]), account(provinces))

    assert codes(findings) == [Code.SEQUENCE_REPEATED]
