"""A sample of an evidence bundle to be held against the paper files (抽样), and figures over all of it (统计).

Nobody chooses: of each office and purpose those messages are drawn whose digest has the lowest hash behind the heads of
all logs, which the nodes signed and each other's witnesses cosigned; who has the bundle draws the same again. Counted
is what the offices of the nodes that listed had sent in an officer's name. A statement names no person, and so does
nothing here. Trusts that the bundle was verified. Source: misuse controls M2, M5, M7, M10, M11.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from operator import attrgetter

from federation.audit.evidence import EvidenceFile
from federation.domain.clock import CALENDAR_FILE, parse_calendar
from federation.domain.lookups_case import is_break_glass
from federation.domain.oversight import is_off_hours
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import RuleError
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.statement import decode_statement
from federation.protocol.trust import Agreement


class PaperFinding(StrEnum):
    """The paper file says the same; it says otherwise; there is none."""

    MATCHES = "matches"
    DIFFERS = "differs"
    NO_FILE = "no_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The finding of a person in the paper file of a message, which its digest names; empty where nobody looked yet."""

    digest: str
    found: PaperFinding | None = None
    letter: str = ""
    approver: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(Checked):
    """The same with what the statement says of it."""

    time: datetime
    off_hours: bool
    agency: str
    officer: str
    purpose: str
    function: str
    case_id: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The messages of one officer, or of one purpose: how many, off hours, without a case, under a broken glass."""

    name: str
    messages: int = 0
    off_hours: int = 0
    no_case: int = 0
    break_glass: int = 0


def each_message(file: EvidenceFile, agreement: Agreement) -> Iterator[Sampled]:
    """Yields what was sent in an officer's name, as it was listed. Refuses what is no envelope and no statement."""
    calendar = parse_calendar(agreement.files[CALENDAR_FILE].decode())
    for node in sorted(file.contents().listed):
        for listed in file.each_listed(f"messages/{node}/sent-"):
            envelope = parse_envelope(listed.envelope)
            statement = decode_statement(envelope.payload)
            sender = statement.sender
            if sender.officer is not None:
                yield Sampled(
                    digest=envelope.digest, time=statement.created,
                    off_hours=is_off_hours(statement.created, calendar), agency=str(sender.agency),
                    officer=sender.officer, purpose=statement.purpose, function=statement.function,
                    case_id=statement.case or "", basis=statement.basis,
                )  # fmt: skip


def draw(file: EvidenceFile, agreement: Agreement, *, of_each: int) -> tuple[Sampled, ...]:
    """Returns so many of each office and purpose, by office, purpose and time; memory holds no more than these."""
    heads = (f"{head.origin}\n{head.size}\n{head.root.hex()}\n" for _, head in sorted(file.each_head(agreement)))
    seed = sha256("".join(heads).encode()).digest()
    strata: dict[tuple[str, str], list[tuple[bytes, Sampled]]] = {}
    for one in each_message(file, agreement):
        lowest = strata.setdefault((one.agency, one.purpose), [])
        insort(lowest, (sha256(seed + bytes.fromhex(one.digest)).digest(), one), key=lambda ranked: ranked[0])
        del lowest[of_each:]
    drawn = (one for lowest in strata.values() for _, one in lowest)
    return tuple(sorted(drawn, key=attrgetter("agency", "purpose", "time", "digest")))


def compare(drawn: Iterable[Sampled], filled: Iterable[Checked]) -> tuple[Sampled, ...]:
    """Returns what was drawn with what was found of it; refuses a sheet of other messages (SAMPLE_OTHER)."""
    by_digest = {one.digest: one for one in filled}
    found = {one.digest: one for one in drawn}
    if other := sorted(by_digest.keys() ^ found.keys()):
        raise RuleError("SAMPLE_OTHER", f"expected the messages that the bundle draws, {other[0]:.16} is not in both")
    checked = ((one, by_digest[name]) for name, one in found.items())
    return tuple(
        replace(one, found=by.found, letter=by.letter, approver=by.approver, words=by.words) for one, by in checked
    )


def count(file: EvidenceFile, agreement: Agreement) -> tuple[tuple[Tally, ...], tuple[Tally, ...]]:
    """The messages by officer, each with the office, and by purpose."""
    by_officer: dict[str, Tally] = {}
    by_purpose: dict[str, Tally] = {}
    for one in each_message(file, agreement):
        for tallies, name in ((by_officer, f"{one.agency} {one.officer}"), (by_purpose, one.purpose)):
            had = tallies.get(name) or Tally(name=name)
            tallies[name] = replace(
                had, messages=had.messages + 1, off_hours=had.off_hours + one.off_hours,
                no_case=had.no_case + (not one.case_id), break_glass=had.break_glass + is_break_glass(one.case_id),
            )  # fmt: skip
    return _sorted(by_officer), _sorted(by_purpose)


async def count_refusals(file: EvidenceFile, agreement: Agreement) -> Mapping[str, int]:
    """The requests of own offices that were refused in the window, by the policy or rule that refused them."""
    said, found = file.contents(), Counter[str]()
    for node in sorted(said.listed & agreement.members.keys()):
        async for entry in file.each_entry(node, agreement):
            leaf = decode_leaf(entry)
            inside = said.window is None or said.window.start <= leaf.time < said.window.end
            if leaf.kind is LeafKind.REFUSED and leaf.pair is None and inside:
                found.update(leaf.policies)
    return dict(found.most_common())


def _sorted(tallies: Mapping[str, Tally]) -> tuple[Tally, ...]:
    return tuple(tallies[name] for name in sorted(tallies))
