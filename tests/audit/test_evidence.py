"""An evidence bundle: the same audit with no node running, and each change of what lies in it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.audit.evidence import AGREEMENT, EVIDENCE, READ_ME, SUMS, Evidence, EvidenceWriter, open_evidence
from federation.audit.leaves import Window
from federation.audit.report import Code, Report
from federation.audit.run import Audit, ListMessages, Options, audit_federation
from federation.domain.officers import KeyStanding
from federation.domain.oversight import Mandate
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import AgencyId, NodeName, Pair
from federation.protocol.statement import decode_statement
from federation.protocol.tlog.tiles import ENTRIES, Tile, encode_bundle
from federation.wire.agency.audit import MessagePage, MessageQuery
from tests.audit.border_day import a_border_day
from tests.audit.provinces import FUJIAN, JIANGXI, NOW, START, ZHEJIANG, Provinces


def with_keys(provinces: Provinces) -> Provinces:
    """The same after the two auditors of each node had their keys registered."""
    for node in (ZHEJIANG, JIANGXI):
        for who in ("s-1", "s-2"):
            provinces[node].say_key(who, at=provinces.tick())
    provinces.cosign_all()
    return provinces


DAY = with_keys(a_border_day())
WINDOW = Window(start=START, end=NOW, begun=NOW)


def listing(provinces: Provinces, node: NodeName, window: Window | None) -> ListMessages:
    """Lists what the node does, of the window alone."""
    every = provinces.lister(node)

    async def listed(query: MessageQuery) -> MessagePage:
        page = await every(query)
        made = {
            message: decode_statement(parse_envelope(message.envelope).payload).created for message in page.messages
        }
        return replace(page, messages=tuple(m for m in made if window is None or window.start <= made[m] < window.end))

    return listed


def export(
    provinces: Provinces, path: Path, *, window: Window | None = WINDOW, mandates: tuple[Mandate, ...] | None = None
) -> tuple[Report, str]:
    """One audit that is recorded, by a mandate for each of two nodes: its report, and the digest of the bundle."""
    if mandates is None:
        nodes = (ZHEJIANG, JIANGXI) if window else ()
        mandates = tuple(provinces[node].mandate(start=window.start, end=window.end) for node in nodes)
    audit = Audit(
        agreement=provinces.agreement,
        sources=provinces.nodes,
        listers={node: listing(provinces, node, window) for node in (ZHEJIANG, JIANGXI)},
        options=Options(window=window, mandates=mandates),
        now=lambda: NOW,
    )
    writer = EvidenceWriter(path)
    report = asyncio.run(audit_federation(writer.record(audit))).report
    said = Evidence(
        federation=report.federation,
        made=report.time,
        window=window,
        mandates=mandates,
        listed=frozenset(audit.listers),
        silent=dict(report.unreachable),
    )
    digest = writer.finish(said, b"the agreement")
    writer.close()
    return report, digest


def verify(path: Path, digest: str | None = None, *, provinces: Provinces = DAY) -> Report:
    file = open_evidence(path)
    file.verify_files(digest)
    return asyncio.run(file.audit(provinces.agreement))


def unpacked(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def pack(path: Path, files: Mapping[str, bytes], *, summed: bool = False) -> Path:
    """Writes the files as a bundle; `summed`: whoever changed them made SHA256SUMS anew, too."""
    with ZipFile(path, "w", ZIP_STORED) as packed:
        for name, content in files.items():
            if name != SUMS or not summed:
                packed.writestr(name, content)
        if summed:
            names = sorted(files.keys() - {SUMS})
            packed.writestr(SUMS, "".join(f"{sha256(files[name]).hexdigest()}  {name}\n" for name in names))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("evidence") / "day.zip"
    report, digest = export(DAY, path)
    assert report.passed
    return path, digest


def test_bundle_verifies_as_the_living_nodes_did(made: tuple[Path, str], tmp_path: Path) -> None:
    """The same logs, pairs, receipts and findings, read from the file alone."""
    report, _ = export(DAY, tmp_path / "again.zip")

    assert verify(*made) == report
    assert {str(line.pair): line.receipts for line in report.pairs}["zhejiang>jiangxi"] == 5


def test_bundle_holds_standard_files_that_sha256sum_checks(made: tuple[Path, str]) -> None:
    """Tiles, notes, lines of messages and the agreement; the digest in the papers is that of SHA256SUMS."""
    path, digest = made
    files = unpacked(path)

    size = len(DAY[JIANGXI].entries)
    assert {
        AGREEMENT, EVIDENCE, READ_ME, SUMS, "logs/jiangxi/checkpoint", f"logs/jiangxi/{Tile(ENTRIES, 0, size)}",
        "messages/zhejiang/sent-jiangxi.jsonl",
    } <= files.keys()  # fmt: skip
    assert files["logs/jiangxi/checkpoint"] == DAY[JIANGXI].note()
    assert sha256(files[SUMS]).hexdigest() == digest
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_single_change_of_a_bundle_is_found(made: tuple[Path, str], tmp_path: Path, data: st.DataObject) -> None:
    """A bit, a file less, one more, two that changed places, a file cut: each fails, and the file is named."""
    files = unpacked(made[0])
    name = data.draw(st.sampled_from(sorted(each for each in files if files[each])))
    kind = data.draw(st.sampled_from(["flip", "delete", "add", "swap", "cut"]))
    if kind == "flip":
        content = bytearray(files[name])
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        files[name] = bytes(content)
    elif kind == "delete":
        del files[name]
    elif kind == "add":
        files["logs/jiangxi/more"] = files[name]
    elif kind == "cut":
        files[name] = files[name][:-1]
    else:
        other = data.draw(st.sampled_from(sorted(each for each in files if files[each] != files[name])))
        files[name], files[other] = files[other], files[name]
    changed = pack(tmp_path / "changed.zip", files)
    file = open_evidence(changed)
    digest = file.verify_files()

    assert {finding.code for finding in file.findings} == {Code.EVIDENCE_CHANGED}
    assert any(name in finding.sentence or kind == "add" for finding in file.findings) or name == SUMS
    if EVIDENCE in files and files[EVIDENCE] == unpacked(made[0])[EVIDENCE]:
        assert not asyncio.run(file.audit(DAY.agreement)).passed
    assert digest == made[1] or files.get(SUMS) != unpacked(made[0])[SUMS]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_change_with_sums_made_anew_is_found_by_logs_and_signatures(
    made: tuple[Path, str], tmp_path: Path, data: st.DataObject
) -> None:
    """Who makes SHA256SUMS anew still changes what was signed: a bit of a log, a head, a message, or a line less."""
    files = unpacked(made[0])
    name = data.draw(st.sampled_from(sorted(each for each in files if files[each] and is_signed(each))))
    lines = files[name].splitlines(keepends=True)
    if name.endswith(".jsonl") and data.draw(st.booleans()):
        del lines[data.draw(st.integers(0, len(lines) - 1))]
        files[name] = b"".join(lines)
    else:
        content = bytearray(files[name])
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        files[name] = bytes(content)

    assert not verify(pack(tmp_path / "changed.zip", files, summed=True)).passed


def is_signed(name: str) -> bool:
    """All of a log and of messages; of a cosigned head a witness's line may be left out, which the quorum tells."""
    return name.startswith(("logs/", "messages/")) and "/witness/" not in name


def test_digest_in_the_papers_finds_whatever_was_made_anew(made: tuple[Path, str], tmp_path: Path) -> None:
    """Less mandate, another window, a whole other bundle: only the digest that was written down tells."""
    files = unpacked(made[0])
    files[READ_ME] += b"more"
    changed = pack(tmp_path / "changed.zip", files, summed=True)

    told = verify(changed, made[1])

    assert verify(changed).passed
    assert not told.passed
    assert "its digest is" in told.findings[0].sentence


def test_tampered_entry_is_the_first_that_is_named(made: tuple[Path, str], tmp_path: Path) -> None:
    """Whatever else does not fit then, the entry comes first."""
    files = unpacked(made[0])
    entries = list(DAY[JIANGXI].entries)
    entries[3], entries[4] = entries[4], entries[3]
    files[f"logs/jiangxi/{Tile(ENTRIES, 0, len(entries))}"] = encode_bundle(entries)

    first = verify(pack(tmp_path / "changed.zip", files, summed=True)).findings[0]

    assert (first.node, first.index, first.code) == (JIANGXI, 3, Code.ENTRY_DIFFERS)


def test_window_holds_its_messages_and_misses_none(tmp_path: Path) -> None:
    """Half a day is listed and passes, the other half is not missed; each message of it that is left out is."""
    half = START + timedelta(seconds=3)
    path = tmp_path / "half.zip"
    whole, _ = export(DAY, path, window=replace(WINDOW, end=half))
    files = unpacked(path)
    name = "messages/zhejiang/sent-jiangxi.jsonl"
    lines = files[name].splitlines(keepends=True)

    assert whole.passed
    assert 0 < len(lines) < len(DAY.messages[Pair(ZHEJIANG, JIANGXI)])
    for at in range(len(lines)):
        files[name] = b"".join([*lines[:at], *lines[at + 1 :]])
        missed = verify(pack(tmp_path / "changed.zip", files, summed=True))
        assert [finding.code for finding in missed.findings] == [Code.LOGGED_NOT_LISTED]


def test_bundle_with_a_silent_node_says_so_again(tmp_path: Path) -> None:
    """Who did not answer at the export is not reached in the bundle either, and the audit does not pass."""
    files_of = with_keys(Provinces(ZHEJIANG, JIANGXI))
    files_of.exchange(ZHEJIANG, JIANGXI)
    files_of[JIANGXI].reachable = False
    report, _ = export(files_of, tmp_path / "silent.zip")

    assert set(report.unreachable) == {JIANGXI}
    assert verify(tmp_path / "silent.zip", provinces=files_of).unreachable == report.unreachable


def test_what_is_no_bundle_is_refused_and_none_is_written_over(made: tuple[Path, str], tmp_path: Path) -> None:
    """Text, a zip that unpacks, a file twice, one said larger than it is: none of them is read at all."""
    text, packed = tmp_path / "text.zip", tmp_path / "packed.zip"
    text.write_text("no zip")
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr(SUMS, "0" * 10_000)
    for path in (text, packed):
        with pytest.raises(MalformedError) as refused:
            open_evidence(path)
        assert refused.value.reason == "EVIDENCE_FORM"
    with pytest.raises(NotFoundError, match="FILE_MISSING"):
        open_evidence(tmp_path / "none.zip")
    with pytest.raises(ConflictError):
        EvidenceWriter(made[0])


def whole(node: NodeName, **changes: object) -> Mandate:
    return DAY[node].mandate(start=WINDOW.start, end=WINDOW.end, **changes)


GOOD = (whole(ZHEJIANG), whole(JIANGXI))
FORGED: dict[str, tuple[Mandate, ...]] = {
    "another document after both signed": (replace(GOOD[0], document="another"), GOOD[1]),
    "narrowed after both signed": (replace(GOOD[0], officer="p-1"), GOOD[1]),
    "a signature of the other": (replace(GOOD[0], signatures=GOOD[0].signatures[::-1]), GOOD[1]),
    "one signature": (replace(GOOD[0], signatures=GOOD[0].signatures[:1]), GOOD[1]),
    "no keys": (replace(GOOD[0], keys=()), GOOD[1]),
    "keys that no log has": (DAY[FUJIAN].mandate(start=START, end=NOW, agency=DAY[ZHEJIANG].auditors), GOOD[1]),
    "keys of another office": (whole(JIANGXI, agency=DAY[ZHEJIANG].auditors), GOOD[1]),
    "another person": (whole(ZHEJIANG, first="s-3"), GOOD[1]),
    "one person twice": (whole(ZHEJIANG, second="s-1"), GOOD[1]),
    "too old": (whole(ZHEJIANG, made=START - timedelta(days=40)), GOOD[1]),
    "a shorter window": (DAY[ZHEJIANG].mandate(start=START, end=START + timedelta(seconds=1)), GOOD[1]),
    "an office that is none": (whole(ZHEJIANG, agency=AgencyId(ZHEJIANG, "330822", "audit")), GOOD[1]),
    "none for a node that listed": GOOD[1:],
}


@pytest.mark.parametrize("how", FORGED)
def test_mandate_that_was_not_signed_by_two_registered_persons_fails_the_bundle(how: str, tmp_path: Path) -> None:
    """Whoever makes the sums anew too: the keys of both stand in the log of their node, under their office and names."""
    path = tmp_path / "forged.zip"
    export(DAY, path, mandates=FORGED[how])

    report = verify(path)

    assert not report.passed
    assert {finding.code for finding in report.findings} <= {Code.MANDATE_INVALID, Code.EVIDENCE_CHANGED}
    assert {finding.node for finding in report.findings} <= {ZHEJIANG, "evidence"}


@pytest.mark.parametrize(("ended", "passes"), [(NOW - timedelta(minutes=1), False), (NOW + timedelta(minutes=1), True)])
def test_key_that_ended_before_the_listing_signs_no_mandate(ended: datetime, passes: bool, tmp_path: Path) -> None:
    """One withdrawn or replaced before it began is none; one that ended later has signed what it signed."""
    day = with_keys(a_border_day())
    day[ZHEJIANG].say_key("s-2", at=ended, version=2, standing=KeyStanding.WITHDRAWN)
    day.cosign_all()

    report, _ = export(day, tmp_path / "ended.zip")

    assert {finding.code for finding in report.findings} == (set() if passes else {Code.MANDATE_INVALID})


def test_key_registered_after_the_listing_signs_no_mandate(tmp_path: Path) -> None:
    """Nobody registers afterwards whom they want to have signed."""
    day = a_border_day()
    for node, at in ((ZHEJIANG, NOW + timedelta(seconds=1)), (JIANGXI, day.tick())):
        for who in ("s-1", "s-2"):
            day[node].say_key(who, at=at)
    day.cosign_all()

    report, _ = export(day, tmp_path / "late.zip")

    assert {(finding.code, finding.node) for finding in report.findings} == {(Code.MANDATE_INVALID, ZHEJIANG)}


def test_window_that_hides_more_than_its_mandates_say_fails(tmp_path: Path) -> None:
    """A window that says that it is narrowed misses nothing: only a mandate may say that."""
    export(DAY, tmp_path / "bundle.zip")
    files = unpacked(tmp_path / "bundle.zip")
    files[EVIDENCE] = encode(replace(decode(Evidence, files[EVIDENCE]), window=replace(WINDOW, narrowed=True)))

    assert not verify(pack(tmp_path / "changed.zip", files, summed=True)).passed
