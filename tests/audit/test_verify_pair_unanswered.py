"""Requests that no one answered: both sides say so of the same request, and neither beside an answer."""

from __future__ import annotations

from datetime import timedelta

from federation.audit.leaves import broken_rules, rules_of
from federation.audit.report import Code, Finding, Severity
from federation.protocol.envelope import parse_envelope, sign_envelope
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import NOT_ANSWERED, LeafKind, Verdict, decode_leaf, encode_leaf
from federation.protocol.statement import encode_statement
from tests.audit.border_day import errors, run
from tests.audit.provinces import FUJIAN, JIANGXI, NOW, ZHEJIANG, Message, Provinces


def say_unanswered(provinces: Provinces, message: Message, *nodes: NodeName) -> None:
    """Those nodes log that nobody answered it."""
    leaf = replace(
        provinces.leaf(message.statement, message.envelope),
        kind=LeafKind.EXPIRED, signatures=None, commitment=None, policies=(), reason=NOT_ANSWERED,
        time=provinces.tick(),
    )  # fmt: skip
    for node in nodes:
        provinces[node].append(leaf)


def reply(provinces: Provinces, request: Message, *, refused: bool = False) -> Message:
    """An answer of Jiangxi that cites the request, taken in or refused as too late."""
    made = provinces.statement(JIANGXI, ZHEJIANG, seq=len(provinces.messages.get(Pair(JIANGXI, ZHEJIANG), [])) + 1)
    statement = replace(made, kind="lookup.answer", in_reply_to=request.envelope.digest)
    envelope = parse_envelope(sign_envelope(encode_statement(statement), provinces[JIANGXI].message_signer))
    leaf = replace(provinces.leaf(statement, envelope), kind=LeafKind.SENT, verdict=Verdict.ALLOWED)
    message = Message(statement, envelope, provinces[JIANGXI].append(leaf))
    provinces.messages.setdefault(Pair(JIANGXI, ZHEJIANG), []).append(message)
    provinces.decide(message, refused=refused)
    return message


def old() -> Provinces:
    """Two provinces, three hours ago."""
    return Provinces(ZHEJIANG, JIANGXI, start=NOW - timedelta(hours=3))


def found(provinces: Provinces, *, listed: bool = True) -> list[Finding]:
    """What one audit finds about unanswered requests, and what fails it."""
    report = run(provinces, listed=listed).report
    assert {finding.code for finding in errors(run(provinces, listed=listed))} <= {
        finding.code for finding in report.findings
    }
    return [finding for finding in report.findings if finding.code is not Code.COSIGNED_BY_FEW]


def codes(provinces: Provinces, *, listed: bool = True) -> list[Code]:
    return [finding.code for finding in found(provinces, listed=listed)]


def test_request_that_both_sides_say_nobody_answered_is_no_finding() -> None:
    """It was sent and taken in, and both wrote that its time was over."""
    provinces = old()
    say_unanswered(provinces, provinces.exchange(ZHEJIANG, JIANGXI), ZHEJIANG, JIANGXI)

    assert codes(provinces) == []


def test_request_that_only_the_side_asked_says_nobody_answered_fails() -> None:
    """The asking side must say so too, once it has had its time."""
    provinces = old()
    say_unanswered(provinces, provinces.exchange(ZHEJIANG, JIANGXI), JIANGXI)

    (finding,) = found(provinces)

    assert (finding.code, finding.node, finding.severity) == (Code.UNANSWERED_DIFFERS, ZHEJIANG, Severity.ERROR)


def test_request_that_one_side_says_nobody_answered_just_now_is_no_finding() -> None:
    """The other side has the life of a statement to say its part."""
    for node in (ZHEJIANG, JIANGXI):
        provinces = Provinces(ZHEJIANG, JIANGXI, start=NOW - timedelta(minutes=30))
        say_unanswered(provinces, provinces.exchange(ZHEJIANG, JIANGXI), node)

        assert codes(provinces) == []


def test_request_that_only_the_asking_side_says_nobody_answered_is_a_warning() -> None:
    """An answer may have come too late; a human should look."""
    provinces = old()
    say_unanswered(provinces, provinces.exchange(ZHEJIANG, JIANGXI), ZHEJIANG)

    (finding,) = found(provinces)

    assert (finding.code, finding.severity) == (Code.UNANSWERED_ONE_SIDED, Severity.WARNING)


def test_request_that_expired_on_its_way_may_go_unanswered_at_the_other_side() -> None:
    """Its receipt was lost: the sender knows only that it expired."""
    provinces = old()
    message = provinces.exchange(ZHEJIANG, JIANGXI)
    provinces.expire(message)
    say_unanswered(provinces, message, JIANGXI)

    assert codes(provinces) == [Code.EXPIRED_RECEIVED]


def test_unanswered_beside_a_reply_that_was_taken_in_fails() -> None:
    """The asking side has the answer and says that there was none."""
    provinces = old()
    request = provinces.exchange(ZHEJIANG, JIANGXI)
    reply(provinces, request)
    say_unanswered(provinces, request, ZHEJIANG, JIANGXI)

    (finding,) = found(provinces)

    assert (finding.code, finding.node, finding.severity) == (Code.UNANSWERED_ANSWERED, ZHEJIANG, Severity.ERROR)
    assert codes(provinces, listed=False) == []  # the logs alone do not tell what a reply is about


def test_unanswered_beside_a_reply_that_came_too_late_is_a_warning() -> None:
    """The asking side refused it: it says that nobody answered in time, and the other side that it did answer."""
    provinces = old()
    request = provinces.exchange(ZHEJIANG, JIANGXI)
    reply(provinces, request, refused=True)
    say_unanswered(provinces, request, ZHEJIANG)

    assert codes(provinces) == [Code.UNANSWERED_ONE_SIDED]


def test_unanswered_of_what_was_refused_or_never_decided_fails() -> None:
    """A refusal is an answer; what never arrived cannot wait there."""
    refused, undecided = old(), old()
    say_unanswered(refused, refused.exchange(ZHEJIANG, JIANGXI, refused=True), ZHEJIANG, JIANGXI)
    message = undecided.send(ZHEJIANG, JIANGXI)
    undecided.expire(message)
    say_unanswered(undecided, message, ZHEJIANG)

    assert set(codes(refused)) == {Code.UNANSWERED_DIFFERS}
    assert Code.UNANSWERED_DIFFERS in codes(undecided)


def test_unanswered_under_another_digest_fails() -> None:
    """Both sides speak of the same statement."""
    provinces = old()
    say_unanswered(provinces, provinces.exchange(ZHEJIANG, JIANGXI), ZHEJIANG, JIANGXI)
    entries = provinces[JIANGXI].entries
    entries[-1] = encode_leaf(replace(decode_leaf(entries[-1]), subject="00" * 32))

    assert set(codes(provinces)) == {Code.UNANSWERED_DIFFERS}


def test_leaf_about_an_unanswered_request_is_lawful_on_both_sides_only() -> None:
    """In the logs of the two provinces of its pair, and of no third; without the reason, in the sender's alone."""
    provinces = old()
    message = provinces.exchange(ZHEJIANG, JIANGXI)
    say_unanswered(provinces, message, JIANGXI)
    leaf, rules = decode_leaf(provinces[JIANGXI].entries[-1]), rules_of(Provinces().agreement, NOW)

    lawful = {node: [code for code, _ in broken_rules(leaf, node, rules)] for node in (ZHEJIANG, JIANGXI, FUJIAN)}

    assert (lawful[ZHEJIANG], lawful[JIANGXI], lawful[FUJIAN]) == ([], [], [Code.LEAF_UNLAWFUL])
    without = replace(leaf, reason=None)
    assert [code for code, _ in broken_rules(without, JIANGXI, rules)] == [Code.LEAF_UNLAWFUL]
