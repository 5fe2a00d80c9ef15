"""The records of look-ups, and the rules beside policy counted from them: quotas, and the words of a refusal.

Nothing here holds a field of a person; an entry at the desk names whom it is about, sealed, while it waits; a question
leaves only the blind index of its selector. Who asked is kept by agency, officer and case, each newest last, and
counted as it is asked: no question reads a whole history. Source: misuse controls M4 and M11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import ClassVar, Final

from federation.domain.division import code_today
from federation.domain.intake import (
    REFUSAL_BODY,
    IntakeEntry,
    IntakeStatus,
    Refusal,
    mask_person,
    next_look,
    refusal_titles,
)
from federation.domain.lookups import (
    COUNTABLE,
    RELEASE_BODY,
    Handle,
    Outcome,
    Selector,
    decode_answer_item,
    decode_release_item,
)
from federation.domain.lookups_case import LookupCase, LookupCounts, Quotas, decode_case, verify_quota
from federation.domain.oversight import AskedLine
from federation.domain.registers import DossierKind, dossier_division, parse_dossier_urn
from federation.domain.retention import PROVISION, USE
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Counted
from federation.node.exchange.replies import Response, statement_of
from federation.node.log.decisions import rule_name
from federation.node.node import Node
from federation.node.oversight.leaders import is_bulk, is_countersigned
from federation.protocol.errors import ConflictError, RuleError
from federation.protocol.form import Digest, Item, Time, always, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time, parse_time
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.protocol.statement import Statement
from federation.store.collection import Collection
from federation.store.columns import blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_body
from federation.store.records import (
    IdRange,
    Record,
    each_in_range,
    erase_record,
    find_by_subject,
    find_record,
    ids_under,
    list_range,
    put_records,
)
from federation.wire.rpc import COUNTERS, Ruling, ruling_of

CASE, HELD = "lookup-case", "lookup-held"
ASKED, ASKED_BY, ASKED_IN = "lookup-asked", "lookup-asked-by", "lookup-asked-in"
MAX_LINES: Final = 10_000
MAX_RECENT: Final = 100
MAX_STEPS: Final = 200  # of one look-up: whoever has its handle can add to them


def case_key(node: NodeName, case_id: str) -> str:
    """The name by which a close reaches what was done for cases of that number; each is then judged by its own case."""
    return f"{node}/{case_id}"


OWN_CASES: Final[Collection[LookupCase]] = Collection(
    kind=CASE,
    encode=encode,
    decode=lambda record: decode_case(record.content),
    id=lambda case: f"{case.opened_by}/{case.case_id}",
    replica=False,
    version=lambda case: case.version,
    status=lambda case: "closed" if case.closed else "open",
    division=lambda case: case.opened_by.county,
    due=lambda case: case.closes.date(),
    subject=lambda case: f"{case.opened_by}/{case.leader}",
    kept_under=PROVISION,
)
"""The cases of our own agencies, each under its office, whose number it is; their versions only grow."""
ANNOUNCED_CASES: Final[Collection[LookupCase]] = replace(OWN_CASES, replica=True)
"""The cases that other provinces told us of."""

CASES_CLOSED: Final[Collection[str]] = Collection(
    kind="lookup-case-closed",
    encode=lambda _: b"",
    decode=lambda record: record.id,
    id=lambda case: case,
    replica=True,
    kept_under=PROVISION,
)
"""The cases, own and announced, that were closed since retention looked last, each with the node of its agency."""


def closed_record(case: LookupCase, *, owner: NodeName) -> Record:
    """That a case was closed, for retention to destroy what came of it."""
    return CASES_CLOSED.record(case_key(case.opened_by.node, case.case_id), owner=owner)


def quotas_of(node: Node) -> Quotas:
    """The limits of the house; those of an office as its province set them."""
    settings = node.settings
    return replace(
        QUOTAS,
        per_desk_day=settings.lookups_a_desk_day,
        per_office_day=settings.lookups_an_office_day,
        cases_per_office_day=settings.cases_an_office_day,
    )


def find_case(source: Source, office: AgencyId | None, case_id: str | None, *, announced: bool) -> LookupCase | None:
    """Returns the newest version of a case that an office opened, of ours or announced to us; another's is none."""
    return (ANNOUNCED_CASES if announced else OWN_CASES).find(source, f"{office}/{case_id}")


HANDLES: Final[Collection[Handle]] = Collection(
    kind=Handle.WHAT,
    encode=lambda handle: encode(replace(handle, handle="")),
    decode=lambda record: replace(decode(Handle, record.content), handle=record.id),
    id=lambda handle: handle.handle,
    replica=False,
    status=lambda _: "given",
    due_time=lambda handle: handle.expires,
    subject=lambda handle: case_key(handle.asker.node, handle.case_id),
)
"""What each handle stands for that this province gave out, dead ones too; found by its case."""


def sent_or_kept_by(source: Source, office: AgencyId, message: StoredMessage) -> bool:
    """For the office that answered, and for a counter of the county that keeps the record.

    The asker is not told which county that is: there it is one of those that its own case names.
    """
    body, statement = find_body(source, message.id), statement_of(message)
    if sent_by_it(source, office, message) or body is None or office.kind not in COUNTERS:
        return sent_by_it(source, office, message)
    county, item = code_today(office.county), body.items[0]
    is_release = body.type == RELEASE_BODY
    answer = decode_release_item(item, statement.realm) if is_release else decode_answer_item(item)
    handle = HANDLES.find(source, answer.handle or "")
    if handle is not None:
        return county == code_today(dossier_division(parse_dossier_urn(handle.dossier)))
    case = find_case(source, statement.recipient.agency, statement.case, announced=False)
    return case is not None and county in map(code_today, case.counties)


def held_record(handle: str, request_digest: str, *, owner: NodeName) -> Record:
    """Remembers which search of ours a handle came of; of a handle that its owner gives twice, the first stays."""
    return _line(HELD, f"{owner}/{handle}", owner=owner, content=request_digest.encode())


def find_held(source: Source, handle: str, *, owner: NodeName) -> str | None:
    """The digest of the search of ours that a province answered with this handle."""
    record = find_record(source, HELD, f"{owner}/{handle}", replica=True)
    return record.content.decode() if record is not None else None


class Question(Item, frozen=True, kw_only=True):
    """A search or a fetch of ours as its reply is judged by it, until it was answered: then it says nothing else."""

    WHAT: ClassVar[str] = "lookup-question"

    digest: Digest | None = None
    until: Time
    lookup_id: MessageId | None = None
    handle: str = ""
    fields: frozenset[str] = always(frozenset())

    @property
    def answered(self) -> bool:
        return self.lookup_id is None


QUESTIONS: Final[Collection[Question]] = Collection(
    kind="lookup-question",
    encode=lambda question: encode(replace(question, digest=None)),
    decode=lambda record: replace(decode(Question, record.content), digest=record.id),
    id=lambda question: question.digest or "",
    replica=True,
    version=lambda question: 1 + question.answered,
    status=lambda question: "answered" if question.answered else "asked",
    due_time=lambda question: question.until,
    kept_under=USE,
)
"""By the digest of its statement; it outlives the question's own body, so that no reply is judged without it."""


class Asked(Item, frozen=True, kw_only=True):
    """A step that an officer of ours took towards one province: a question, or a case opened or closed.

    `serial` numbers the steps of this node. `digest` and `message_id` are its statement's, empty when our own side
    refused it; `lookup_id` is empty for a case, `desk` (the certificate's serial) when not known. `outcome`: None when
    the reply tells.
    """

    WHAT: ClassVar[str] = ASKED
    BLANK: ClassVar[frozenset[str]] = frozenset({"outcome"})

    time: Time
    agency: AgencyId
    officer: str
    serial: int
    lookup_id: str
    case_id: str
    node: NodeName
    step: str
    digest: str
    message_id: str
    desk: str
    kind: DossierKind
    outcome: Outcome | None = None

    @property
    def place(self) -> str:
        """Its place in every order: by its time, then as they were written."""
        return f"{format_time(self.time)}/{self.serial:012d}/{self.node}"


def put_asked(transaction: GroupTransaction, asked: Asked, *, subject: str | None, owner: NodeName) -> None:
    """Remembers a step: one line of the agency's history, of its officer's and of its case's."""
    line = _line(ASKED, f"{asked.agency}/{asked.place}", owner=owner, content=encode(asked))
    line = replace(line, status=asked.step, due_time=asked.time, subject=subject)
    left = asked.step if asked.digest else ""
    recent = f"{left}\n{asked.lookup_id}\n{asked.case_id}\n{asked.desk}".encode()
    by_officer = _line(ASKED_BY, f"{asked.agency}/{asked.officer}/{asked.place}", owner=owner, content=recent)
    in_case = _line(ASKED_IN, f"{asked.agency}/{asked.case_id}/{asked.place}", owner=owner, content=b"")
    in_case = replace(in_case, subject=f"{asked.agency}/{asked.lookup_id}" if asked.lookup_id else None)
    put_records(transaction, [line, by_officer, in_case])


def list_steps(source: Source, agency: AgencyId, lookup_id: str) -> Sequence[Asked]:
    """The first `MAX_STEPS` steps of one look-up of an agency, in their order, refused ones too."""
    lines = find_by_subject(source, ASKED_IN, f"{agency}/{lookup_id}", limit=MAX_STEPS)
    places = ("/".join(line.id.rsplit("/", 3)[1:]) for line in lines)
    found = (find_record(source, ASKED, f"{agency}/{place}", replica=True) for place in places)
    return [decode(Asked, record.content) for record in found if record is not None]


def list_asked(
    source: Source, agency: AgencyId, *, since: datetime, until: datetime
) -> Sequence[tuple[Asked, str | None]]:
    """An agency's searches and fetches, refused ones too, from `since` on and before `until`, each with the person."""
    prefix = f"{agency}/"
    ids = IdRange(after=prefix + format_time(since), before=prefix + format_time(until))
    found = each_in_range(source, ASKED, ids, replica=True, at_once=MAX_LINES)
    lines = ((decode(Asked, record.content), record.subject) for record in found)
    return [(asked, subject) for asked, subject in lines if asked.lookup_id]


def erase_asked(transaction: GroupTransaction, asked: Asked) -> bool:
    """Deletes the three lines of a step; says whether there were any."""
    erase_record(transaction, ASKED_BY, f"{asked.agency}/{asked.officer}/{asked.place}", replica=True)
    erase_record(transaction, ASKED_IN, f"{asked.agency}/{asked.case_id}/{asked.place}", replica=True)
    return erase_record(transaction, ASKED, f"{asked.agency}/{asked.place}", replica=True)


def list_recent(source: Source, agency: AgencyId, officer: str, *, since: datetime, step: str) -> Sequence[AskedLine]:
    """The officer's steps that left since then, newest first, among their newest `MAX_RECENT`."""
    prefix = f"{agency}/{officer}/"
    ids = replace(ids_under(prefix, newest_first=True), after=prefix + format_time(since))
    found = list_range(source, ASKED_BY, ids, limit=MAX_RECENT, replica=True)
    steps = ((record.id.removeprefix(prefix), record.content.decode().split("\n")) for record in found)
    return [
        AskedLine(
            time=parse_time(place.partition("/")[0]),
            officer=officer,
            agency=str(agency),
            lookup_id=lookup_id,
            case_id=case_id,
            desk=desk,
        )
        for place, (left, lookup_id, case_id, desk) in steps
        if left == step
    ]


def each_asked(
    source: Source, agency: AgencyId, before: str = "", *, case_id: str | None, officer: str | None = None
) -> Iterator[tuple[str, Asked]]:
    """The steps of an agency, newest first, of one case or officer where given, behind the place `before`."""
    kind, prefix = ASKED, f"{agency}/"
    if officer is not None:
        kind, prefix = ASKED_BY, f"{agency}/{officer}/"
    elif case_id is not None:
        kind, prefix = ASKED_IN, f"{agency}/{case_id}/"
    for record in each_in_range(source, kind, ids_under(prefix, newest_first=True, before=before), replica=True):
        whole = f"{agency}/{record.id.removeprefix(prefix)}"
        line = record if kind == ASKED else find_record(source, ASKED, whole, replica=True)
        asked = decode(Asked, line.content) if line is not None else None  # None: erased at this moment
        if asked is not None and case_id in (None, asked.case_id):
            yield asked.place, asked


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry of the intake desk as it is stored now; `version` is what the next one replaces."""

    entry: IntakeEntry
    version: int


ENTRIES: Final[Collection[StoredEntry]] = Collection(
    kind="lookup-intake",
    encode=lambda stored: encode(stored.entry),
    decode=lambda record: StoredEntry(entry=decode(IntakeEntry, record.content), version=record.version),
    id=lambda stored: stored.entry.request_id,
    replica=True,
    version=lambda stored: stored.version,
    status=lambda stored: stored.entry.status.value,
    due=lambda stored: stored.entry.due.date() if stored.entry.status is IntakeStatus.WAITING else None,
    due_time=lambda stored: next_look(stored.entry),
)
"""One entry a request, by its message's id, due while it waits; one row: no older version keeps whom it was about."""


def entry_record(entry: IntakeEntry, *, owner: NodeName, replaces: int = 0) -> Record:
    """Dies with its request while it waits; once it has ended it is a record of provision that names nobody."""
    waits = entry.status is IntakeStatus.WAITING
    kept = entry if waits else replace(entry, person=mask_person(entry.person))
    record = ENTRIES.record(StoredEntry(entry=kept, version=replaces + 1), owner=owner)
    return replace(record, kept_under="" if waits else PROVISION)


def put_entry(transaction: GroupTransaction, entry: IntakeEntry, *, owner: NodeName, replaces: int) -> None:
    """Stores an entry in the place of that version; ConflictError VERSION_CONFLICT when another act came first."""
    now = ENTRIES.find(transaction, entry.request_id)
    if now is None or now.version != replaces:
        raise ConflictError("VERSION_CONFLICT", f"another act on request {entry.request_id} came first")
    with transaction.carrying(entry.request_id):
        put_records(transaction, [entry_record(entry, owner=owner, replaces=replaces)])


def count_waiting(source: Source) -> int:
    return ENTRIES.count_due(source, before=date.max)


def list_waiting(source: Source) -> list[IntakeEntry]:
    """The entries that wait, by id, which is the order of asking."""
    waiting = (stored.entry for stored in ENTRIES.each_due(source, before=date.max))
    return sorted(waiting, key=lambda entry: entry.request_id)


def _line(kind: str, key: str, *, owner: NodeName, content: bytes) -> Record:
    return Record(id=key, kind=kind, owner=owner, version=1, replica=True, status="kept", division="", content=content)


PERSON = "lookup-person"
QUOTAS = Quotas()

_WORDS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "QUOTA_OFFICER": (
            "民警当日查询次数已满",
            "The officer has asked as often as one may in a day",
            "次日再查，或由本案其他民警查询",
        ),
        "QUOTA_DESK": (
            "本岗当日查询次数已满",
            "The desk has asked as often as one certificate may in a day",
            "次日再查",
        ),
        "QUOTA_OFFICE": (
            "本单位当日查询次数已满",
            "The office has asked as often as one may in a day",
            "次日再查",
        ),
        "CASE_LEADER_GONE": (
            "本案负责人的本人密钥已注销",
            "The key of the leader of the case was withdrawn",
            "结案后由另一负责人凭新的办案协作函另立新案：bridgehead lookup case close",
        ),
        "OFFICER_KEY_WITHDRAWN": ("民警密钥已注销", "The key was withdrawn", "登记新密钥：bridgehead lookup key new"),
        "CASE_LEADER_ASKS": (
            "案件负责人不得在本案查询",
            "Who leads the case does not ask in it",
            "由本案其他民警查询",
        ),
        "LETTER_USED": (
            "该办案协作函已用于另一案件",
            "The cooperation letter was given for another case",
            "一函一案：凭新的办案协作函立案",
        ),
        "QUOTA_CASE": (
            "本案查询次数已满",
            "The case has asked as often as one may",
            "由本案负责人和另一名未参与查询的民警双人签名：bridgehead oversight countersign --bulk",
        ),
        "QUOTA_CASE_LIMIT": (
            "本案查询次数已达最高限额",
            "The case has asked as often as any case may",
            "结案后凭新的办案协作函另立新案",
        ),
        "QUOTA_PERSONS": (
            "本案查询人数已满",
            "The case has asked about as many persons as one may",
            "请本案负责人会签后再查：bridgehead oversight countersign",
        ),
        "QUOTA_OFFICE_ANSWERED": (
            "对方省当日答复本单位的查询已满",
            "The other province has answered this office as often as it may in a day",
            "次日再查",
        ),
        "QUOTA_CASE_ANSWERED": (
            "对方省答复本案的查询已满",
            "The other province has answered in this case as often as it may",
            "结案后凭新的办案协作函另立新案",
        ),
        "QUOTA_NUMBERS_ANSWERED": (
            "对方省当日答复本单位按证号、号牌的查询已满",
            "The other province has answered this office by number as often as it may in a day",
            "次日再查，或按公民身份号码查询",
        ),
        "OFFICER_KEY": (
            "签名不是该民警登记的密钥所作",
            "The signature is not by the key registered for this officer",
            "用本人登记的密钥签名；未登记的先登记：bridgehead lookup key new",
        ),
        "HANDLE_UNKNOWN": (
            "本单位没有从该省得到这个凭据",
            "This agency got no such handle of that province",
            "先查询：bridgehead lookup search",
        ),
        "HANDLE_ASKER": (
            "凭据发给了另一民警",
            "The handle was given to another officer",
            "以本人名义重新查询：bridgehead lookup search",
        ),
        "HANDLE_CASE": (
            "凭据属于另一案件",
            "The handle belongs to another case",
            "在本案下重新查询：bridgehead lookup search",
        ),
        "HANDLE_EXPIRED": ("凭据已失效", "The handle has ended", "重新查询：bridgehead lookup search"),
    }
)
"""Of each rule: the title in Chinese and in English, and what to do in Chinese; the rule's own sentence is English."""


def count(transaction: GroupTransaction, errand: Errand, *, case_id: str, selector: Selector) -> RuleError | None:
    """Counts a look-up (in several provinces: one) in its transaction; returns the limit it would pass, or None."""
    agency, officer = errand.caller, errand.act.officer
    today = errand.node.today()
    by_day = f"lookup-day/{agency}/{officer}/{today}"
    by_office, by_desk = f"lookup-office-day/{agency}/{today}", f"lookup-desk-day/{agency}/{errand.desk}/{today}"
    in_case, persons = f"lookup-case/{agency}/{case_id}", f"lookup-persons/{agency}/{case_id}"
    index = blind_index(transaction.keys, PERSON, f"{selector.kind}/{selector.value}").hex()
    line = _line(PERSON, f"{agency}/{case_id}/{index}", owner=errand.node.name, content=b"")
    person = replace(line, status="asked")
    is_new = find_record(transaction, PERSON, person.id, replica=True) is None
    counts = LookupCounts(
        officer_today=transaction.find_counter(by_day) + 1,
        case_total=transaction.find_counter(in_case) + 1,
        case_persons=transaction.find_counter(persons) + is_new,
        desk_today=transaction.find_counter(by_desk) + 1,
        office_today=transaction.find_counter(by_office) + 1,
    )
    try:
        verify_quota(
            counts,
            quotas_of(errand.node),
            countersigned=is_countersigned(transaction, agency, case_id, officer=officer),
            bulk=is_bulk(transaction, agency, case_id, officer=officer),
        )
    except RuleError as error:
        return error
    transaction.set_counter(by_day, counts.officer_today)
    transaction.set_counter(in_case, counts.case_total)
    transaction.set_counter(by_desk, counts.desk_today)
    transaction.set_counter(by_office, counts.office_today)
    if is_new:
        transaction.set_counter(persons, counts.case_persons)
        put_records(transaction, [person])
    return None


def answered_counts(node: Node, statement: Statement, selector: Selector) -> list[Counted]:
    """The counters of a search that we answer: of its office today, its case, and numbers that can be counted up."""
    settings, office = node.settings, statement.sender.agency
    most, numbers = settings.answers_per_office_day, settings.answers_by_number_per_office_day
    of_office = Counted(f"answered-office/{office}/{node.today()}", most, reason="QUOTA_OFFICE_ANSWERED")
    in_case = Counted(f"answered-case/{office}/{statement.case}", QUOTAS.per_case_bulk, reason="QUOTA_CASE_ANSWERED")
    if selector.kind not in COUNTABLE:
        return [of_office, in_case]
    by_number = Counted(f"answered-numbers/{office}/{node.today()}", numbers, reason="QUOTA_NUMBERS_ANSWERED")
    return [of_office, in_case, by_number]


def verify_countable(source: Source, counts: Sequence[Counted]) -> None:
    """Refuses a search that would pass a limit of the answering side (QUOTA_*_ANSWERED)."""
    for each in counts:
        if source.find_counter(each.name) >= each.most:
            raise RuleError(each.reason, f"expected at most {each.most} look-ups to be answered here; see the rule")


def rule_refusal(errand: Errand, error: RuleError) -> Ruling:
    """The no of a rule, in words, with what to do about it."""
    title_zh, title_en, remedy_zh = _WORDS[error.reason]
    return ruling_of(
        _refused((rule_name(error.reason),), title_zh, title_en),
        agreement_version=errand.in_force.agreement.version,
        explanation_zh=remedy_zh,
        explanation_en=error.message,
    )


def refusal_of(node: Node, response: Response) -> Decision | None:
    """Returns the refusal of the other side: by policy or rule, by its desk in a reply, or by its node; else None."""
    if response.body is not None and response.body.type == REFUSAL_BODY:
        refusal = decode(Refusal, response.body.items[0])
        return _refused((f"desk-{refusal.reason.value.replace('_', '-')}",), *refusal_titles(refusal))
    if response.refused:
        return _refusal_by_policy(node, response.refused)
    if response.rejected:
        title_en = f"The other node could not judge this message: {response.rejected}"
        return _refused((rule_name(response.rejected),), "对方节点无法受理这条消息", title_en)
    return None


def _refusal_by_policy(node: Node, policies: Sequence[str]) -> Decision:
    """The other side's refusal in our words: its leaf names the policies or the rule, and we hold their text."""
    book = node.trust.in_force.policies.policies
    policy_titles = {name: (book[name].title_zh, book[name].title_en) for name in policies if name in book}
    titles = [found for name in policies if (found := policy_titles.get(name) or _rule_titles(name)) is not None]
    zh, en = (title for title, _ in titles), (title for _, title in titles)
    return _refused(tuple(policies), "；".join(zh), "; ".join(en))


def _rule_titles(name: str) -> tuple[str, str] | None:
    """The titles of a rule of a look-up by its name in a leaf, such as `rule-handle-case`; None for any other name."""
    return next((words[:2] for reason, words in _WORDS.items() if rule_name(reason) == name), None)


def _refused(policies: tuple[str, ...], title_zh: str, title_en: str) -> Decision:
    return Decision(
        verdict=Verdict.REFUSED,
        policies=policies,
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )
