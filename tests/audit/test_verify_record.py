"""Joint records against the logs of those who wrote them: forks, old parents, and what an author held and did not cite."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.audit.column import MessageColumn, MessageRecord, pack_digest, pack_time
from federation.audit.report import Code, Finding, Severity
from federation.audit.verify_log import LogAccount, unread_log
from federation.audit.verify_record import verify_records
from federation.domain.joint import Entry
from federation.domain.joint_record import Place, Record
from federation.protocol import form
from federation.protocol.body import Body, commit_body, disclose_head, disclose_item, open_places
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair
from tests.audit.border_day import run
from tests.audit.provinces import Provinces
from tests.domain.joint_world import AT, FUJIAN, JIANGXI, NODES, RECORD, ZHEJIANG, act, place, write


class Logs:
    """What each node's log says of the entries that it handed over and took in, a minute after the other."""

    def __init__(self) -> None:
        self.minutes = 0
        self.entries: list[Entry] = []
        self.leaves: dict[NodeName, list[tuple[Pair, Entry, bool, int, int]]] = {node: [] for node in NODES}

    def leave(self, node: NodeName, entry: Entry, *, peer: NodeName, refused: bool = False) -> None:
        pair = Pair(node, peer) if entry.author == node else Pair(entry.author, node)
        self.leaves[node].append((pair, entry, refused, len(self.leaves[node]), self.minutes))

    def say(self, entry: Entry, *to: NodeName) -> Entry:
        """An entry that its author hands over two minutes after the last, and that these take in at once."""
        self.minutes += 2
        self.entries.append(entry)
        for peer in to:
            self.leave(entry.author, entry, peer=peer)
            self.leave(peer, entry, peer=peer)
        return entry

    def account(self, node: NodeName) -> LogAccount:
        sent: dict[Pair, MessageColumn] = {}
        decided: dict[Pair, MessageColumn] = {}
        for pair, entry, refused, index, minutes in self.leaves[node]:
            column = (sent if pair.sender == node else decided).setdefault(pair, MessageColumn())
            digest, time = pack_digest(entry.name), pack_time(AT + timedelta(minutes=minutes))
            column.append(MessageRecord(len(column) + 1, index, time, 1, refused, digest, digest, digest))
        return replace(unread_log(node), complete=True, sent=sent, decided=decided)

    def verify(self) -> tuple[Finding, ...]:
        return verify_records(self.entries, {node: self.account(node) for node in NODES})


def made(entry: Entry, minutes: int) -> Entry:
    """The same entry, which says that it was made so many minutes after the case was opened."""
    return Entry(
        name=entry.name, author=entry.author, head=form.replace(entry.head, at=AT + timedelta(minutes=minutes))
    )


def body_of(entry: Entry, salt: bytes = b"s") -> Body:
    """The body of an entry: its head, and one item that an auditor is never shown."""
    return Body(type="application/json", salt=salt * 32, items=(form.encode(entry.head), b"a party"))


@pytest.fixture
def logs() -> Logs:
    """Zhejiang opened a record, to which jiangxi and fujian belong, and jiangxi answered."""
    logs = Logs()
    opening = logs.say(write(ZHEJIANG, place(1), act="open"), JIANGXI, FUJIAN)
    logs.say(write(JIANGXI, place(1, opening)), ZHEJIANG, FUJIAN)
    return logs


def test_record_of_careful_nodes_has_no_finding(logs: Logs) -> None:
    """Each stands on all that its log had, or wrote before it came."""
    record = Record(RECORD, logs.entries)
    for node in (FUJIAN, ZHEJIANG, JIANGXI):
        logs.say(act(record, node), *({ZHEJIANG, JIANGXI, FUJIAN} - {node}))
    assert logs.verify() == ()


def test_who_does_not_cite_what_its_log_had_is_found(logs: Logs) -> None:
    """The author's own leaves say that it held the answer before it wrote as if there was none."""
    opening, answer = logs.entries
    careless = logs.say(made(write(ZHEJIANG, place(2, opening)), 9), JIANGXI, FUJIAN)
    logs.minutes = 9
    logs.leaves[ZHEJIANG] = [*logs.leaves[ZHEJIANG][:3]]
    logs.leave(ZHEJIANG, careless, peer=JIANGXI)
    (finding,) = logs.verify()
    assert (finding.code, finding.node, finding.index) == (Code.RECORD_UNCITED, ZHEJIANG, 3)
    assert "entry 2 of zhejiang" in finding.sentence
    assert "entry 1 of jiangxi" in finding.sentence
    logs.say(write(ZHEJIANG, place(3, careless, answer)), JIANGXI)
    assert len(logs.verify()) == 1, "once, by the first entry that should have cited it"


def test_entry_that_claims_an_early_making_is_doubted(logs: Logs) -> None:
    """Whoever dates an entry back to before what came is asked why it was handed over so late: a warning."""
    opening, _ = logs.entries
    logs.minutes = 60
    logs.say(made(write(ZHEJIANG, place(2, opening)), 1), JIANGXI)
    (finding,) = logs.verify()
    assert (finding.code, finding.severity) == (Code.RECORD_DATED_BACK, Severity.WARNING)


@pytest.mark.parametrize("why", ["refused", "came later", "waited", "its author forked", "log not read"])
def test_what_a_node_could_not_cite_is_no_finding(logs: Logs, why: str) -> None:
    """What policy refused, what came later, what waited for another one, what an equivocator wrote."""
    opening, answer = logs.entries
    unseen = write(FUJIAN, place(1, opening), salt="unseen")
    on_it = write(JIANGXI, place(2, answer, unseen))
    late = write(JIANGXI, place(2, answer))
    mine = made(write(ZHEJIANG, place(2, opening, answer)), 50)
    logs.minutes = 20
    if why == "waited":
        logs.entries.append(unseen)
        logs.say(on_it, ZHEJIANG)
    elif why == "its author forked":
        logs.say(late, ZHEJIANG)
        logs.entries.append(write(JIANGXI, place(2, answer), salt="again"))
    elif why == "refused":
        logs.entries.append(late)
        logs.leave(ZHEJIANG, late, peer=ZHEJIANG, refused=True)
    elif why == "log not read":
        logs.say(late, ZHEJIANG)
    logs.minutes = 50
    logs.say(mine, FUJIAN)
    if why == "came later":
        logs.say(late, ZHEJIANG)
    accounts = {node: logs.account(node) for node in NODES}
    if why == "log not read":
        assert [each.code for each in verify_records(logs.entries, accounts)] == [Code.RECORD_UNCITED]
        accounts[ZHEJIANG] = replace(accounts[ZHEJIANG], complete=False)
    codes = {each.code for each in verify_records(logs.entries, accounts)}
    assert codes == ({Code.RECORD_FORKED} if why == "its author forked" else set())


def test_findings_of_a_record_name_the_author_and_its_leaf(logs: Logs) -> None:
    """A fork, old parents, a false height are errors; who did not know of a cut is named without one."""
    opening, answer = logs.entries
    logs.say(write(FUJIAN, place(1, opening), salt="a"), ZHEJIANG)
    logs.say(write(FUJIAN, place(1, opening), salt="b"), JIANGXI)
    logs.say(write(JIANGXI, place(2, opening)), ZHEJIANG)
    logs.say(write(ZHEJIANG, form.replace(place(2, opening, answer), height=9)), JIANGXI)
    cut = logs.say(write(ZHEJIANG, place(2, opening, answer), act="remove", cut=("jiangxi:1",)), FUJIAN)
    logs.say(write(JIANGXI, place(2, answer), salt="beyond"), ZHEJIANG)
    found = {(each.code, each.node, each.severity) for each in logs.verify()}
    assert cut.head.fields["cut"] == ("jiangxi:1",)
    assert found == {
        (Code.RECORD_FORKED, FUJIAN, Severity.ERROR),
        (Code.RECORD_FORKED, JIANGXI, Severity.ERROR),
        (Code.RECORD_FORKED, ZHEJIANG, Severity.ERROR),
        (Code.RECORD_OLD_PARENTS, JIANGXI, Severity.ERROR),
        (Code.RECORD_HEIGHT, ZHEJIANG, Severity.ERROR),
        (Code.RECORD_BEYOND_CUT, JIANGXI, Severity.WARNING),
    }
    assert all(each.index is not None for each in logs.verify() if each.node == FUJIAN)


def audited(provinces: Provinces) -> tuple[Finding, ...]:
    """The findings of a whole audit, once all have cosigned."""
    provinces.cosign_all()
    return run(provinces).report.findings


def test_audit_opens_heads_and_finds_a_fork() -> None:
    """From listings alone: the same entry from both sides is one, and one author's two of a number are found."""
    provinces = Provinces(ZHEJIANG, JIANGXI, FUJIAN)
    opening = body_of(write(ZHEJIANG, place(1), act="open"))
    for peer in (JIANGXI, FUJIAN):
        provinces.hand_entry(opening, peer)
    assert audited(provinces) == ()
    answer = write(JIANGXI, Place(n=1, parents=frozenset({commit_body(opening).commitment}), height=1))
    provinces.hand_entry(body_of(answer), ZHEJIANG)
    provinces.hand_entry(body_of(answer, b"t"), FUJIAN)
    (found,) = audited(provinces)
    assert (found.code, found.node, found.index) == (Code.RECORD_FORKED, JIANGXI, 1)


def test_head_that_was_not_committed_to_is_invalid() -> None:
    """A head of other bytes, another place's item, an agency of another node: none becomes an entry."""
    provinces = Provinces(ZHEJIANG, JIANGXI, FUJIAN)
    opening = body_of(write(ZHEJIANG, place(1), act="open"))
    message = provinces.hand_entry(opening, JIANGXI)
    foreign = body_of(write(JIANGXI, Place(n=1, parents=frozenset({"ab" * 32}), height=1)))
    stolen = provinces.send(ZHEJIANG, JIANGXI, body=commit_body(foreign))
    provinces.decide(stolen)
    for head in (disclose_head(open_places(foreign, (0,))), disclose_item(opening, 1)):
        message.head = head
        assert {each.code for each in audited(provinces)} == {Code.HEAD_INVALID}
    message.head, stolen.head = None, disclose_head(open_places(foreign, (0,)))
    assert {each.code for each in audited(provinces)} == {Code.HEAD_INVALID}
