"""The agreement on disk: an ordinary TUF repository in the node's home, replaced as a whole.

    <home>/agreement/root-1.json                  the pinned first root; written once, by a person's decision
    <home>/agreement/current -> versions/<t>.<s>  the version in force: targets version, then timestamp version
    <home>/agreement/versions/<t>.<s>/metadata/{1.root,2.root,...,timestamp,snapshot,targets}.json
    <home>/agreement/versions/<t>.<s>/targets/members.json, policies/..., ...

Rules kept: verified before it is written; written whole and synced before `current` moves by one rename, so that a
crash leaves the old version or the new one; the last refresh of each targets version stays, because evidence cites it.
Trusts nothing it reads: every load verifies again from the pinned root.
Source: The Update Framework specification 1.0.34 (file names without consistent snapshots), DESIGN section 4.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path
from threading import Lock
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from federation.node.home.files import make_private_folder, read_file, sync_folder, write_public
from federation.node.home.keyring import Keyring
from federation.protocol.errors import MalformedError, NotFoundError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.trust.agreement import MAX_FILES, Agreement, AgreementFiles, load_agreement
from federation.protocol.trust.draft import make_snapshot, make_timestamp
from federation.protocol.trust.metadata import MAX_ROOTS, sign_metadata, verify_pinned

FRESHNESS_LIFETIME = timedelta(hours=48)
PINNED_ROOT = "root-1.json"
MAX_UNPACKED_BYTES = 16 * 1024 * 1024
"""The most that a packed agreement may hold."""
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", re.ASCII)
_VERSION_FOLDER = re.compile(r"([0-9]+)\.([0-9]+)", re.ASCII)


def read_agreement_files(home: Path, *, version: int | None = None) -> AgreementFiles:
    """Reads the version in force, or an earlier one; nothing is verified. Refuses AGREEMENT_MISSING, AGREEMENT_FORM."""
    folder = home / "agreement" / "current" if version is None else _find_version(home, version)
    if folder is None or not folder.is_dir():
        wanted = "agreement" if version is None else f"agreement version {version}"
        raise NotFoundError("AGREEMENT_MISSING", f"expected an {wanted} in {home}: 'bridgehead agreement publish'")
    return read_repository(folder)


def file_marks(home: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Returns where, which and when of the files of the version in force: who compares need not read them again."""
    found = [home / "agreement" / PINNED_ROOT, *(home / "agreement" / "current").resolve().rglob("*")]
    marks: list[tuple[str, int, int, int]] = []
    for path in sorted(found):
        with suppress(FileNotFoundError):
            stat = path.stat()
            marks.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(marks)


class HeldFiles:
    """The agreement of a home for whoever fetches it: read again when another version stands, one copy for all."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._version: Path | None = None
        self._earlier: tuple[int, AgreementFiles] | None = None
        self._turn = Lock()

    def read(self, *, whole: bool) -> AgreementFiles:
        """The version in force, the targets only when the whole is wanted; raises as `read_agreement_files`."""
        with self._turn:
            version = (self._home / "agreement" / "current").resolve()
            if self._version != version:
                self._whole = read_agreement_files(self._home)
                self._fresh = replace(self._whole, targets=b"", files={})
                self._version = version
            return self._whole if whole else self._fresh

    def read_earlier(self, version: int) -> AgreementFiles:
        """An earlier version, kept for who asks for the same one next; raises as `read_agreement_files`."""
        with self._turn:
            if self._earlier is None or self._earlier[0] != version:
                self._earlier = version, read_agreement_files(self._home, version=version)
            return self._earlier[1]


def read_repository(folder: Path) -> AgreementFiles:
    """Reads `metadata/` and `targets/`, snapshot and timestamp if there. Refuses FILE_MISSING, AGREEMENT_FORM."""
    metadata, targets = folder / "metadata", folder / "targets"
    roots: list[bytes] = []
    while (path := metadata / f"{len(roots) + 1}.root.json").exists():
        roots.append(read_file(path))
    paths = sorted(path for path in targets.rglob("*") if path.is_file() and not path.is_symlink())
    if len(paths) > MAX_FILES:
        raise MalformedError("AGREEMENT_FORM", f"expected at most {MAX_FILES} target files, got {len(paths)}")
    return AgreementFiles(
        roots=tuple(roots),
        timestamp=_read_if_there(metadata / "timestamp.json"),
        snapshot=_read_if_there(metadata / "snapshot.json"),
        targets=read_file(metadata / "targets.json"),
        files={_safe_path(path.relative_to(targets).as_posix()): read_file(path) for path in paths},
    )


def write_repository(folder: Path, files: AgreementFiles) -> None:
    """Writes a folder of `metadata/` and `targets/`. Raises MalformedError: AGREEMENT_FORM."""
    for path, file in _by_path(files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_public(folder / path, file)


def write_archive(path: Path, files: AgreementFiles) -> None:
    """Writes the same folder as one zip, the same bytes for the same files."""
    write_public(path, pack_archive(files))


def pack_archive(files: AgreementFiles) -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, file in sorted(_by_path(files).items()):
            archive.writestr(ZipInfo(name), file, ZIP_DEFLATED)
    return packed.getvalue()


def read_archive(path: Path) -> AgreementFiles:
    """Reads a zip of `metadata/` and `targets/`; nothing is verified. Refuses FILE_MISSING, AGREEMENT_FORM."""
    return unpack_archive(read_file(path), path)


def unpack_archive(packed: bytes, path: Path) -> AgreementFiles:
    """As `read_archive`, of what lies at that path or in it."""
    try:
        with ZipFile(io.BytesIO(packed)) as archive, tempfile.TemporaryDirectory() as folder:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES + MAX_ROOTS:
                raise MalformedError(
                    "AGREEMENT_FORM", f"{path}: expected at most {MAX_FILES} files, got {len(entries)}"
                )
            left = MAX_UNPACKED_BYTES
            for entry in entries:
                unpacked = Path(folder) / _safe_path(entry.filename)
                unpacked.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as member:
                    left -= unpacked.write_bytes(member.read(left + 1))
                if left < 0:
                    raise MalformedError("AGREEMENT_FORM", f"{path}: expected at most {MAX_UNPACKED_BYTES} bytes in it")
            files = read_repository(Path(folder))
    except (BadZipFile, OSError, RuntimeError, zlib.error) as error:
        raise MalformedError("AGREEMENT_FORM", f"{path}: expected a zip of 'agreement export'") from error
    if not files.roots:
        raise MalformedError("AGREEMENT_FORM", f"{path}: expected metadata/1.root.json")
    return files


def _by_path(files: AgreementFiles) -> dict[str, bytes]:
    content: dict[str, bytes] = {f"metadata/{n}.root.json": root for n, root in enumerate(files.roots, start=1)}
    for name in ("timestamp", "snapshot", "targets"):
        if signed := getattr(files, name):
            content[f"metadata/{name}.json"] = signed
    return content | {f"targets/{_safe_path(path)}": file for path, file in files.files.items()}


def pinned_root(home: Path) -> bytes:
    """Reads the first root that this node has pinned. Raises NotFoundError: AGREEMENT_MISSING."""
    path = home / "agreement" / PINNED_ROOT
    if not path.exists():
        raise NotFoundError("AGREEMENT_MISSING", f"expected a pinned root in {home}: 'bridgehead agreement publish'")
    return read_file(path)


def pin_root(home: Path, root: bytes) -> None:
    """Pins the first root: this home trusts what grows out of it, and nothing else. Refuses AGREEMENT_ROOT."""
    path = home / "agreement" / PINNED_ROOT
    if path.exists():
        verify_pinned(root, trusted_root=read_file(path))
        return
    make_private_folder(path.parent)
    write_public(path, root)


def has_agreement(home: Path) -> bool:
    return (home / "agreement" / "current").exists()


def load_home_agreement(home: Path, *, now: datetime) -> Agreement:
    """Loads the version in force, verified anew; an expired one too. Refuses AGREEMENT_MISSING, as `load_agreement`."""
    return load_agreement(read_agreement_files(home), trusted_root=pinned_root(home), now=now, previous=None)


def verify_earlier(home: Path, files: AgreementFiles, *, version: int, now: datetime) -> Agreement:
    """Verifies an earlier version of the agreement in force, whoever handed it out.

    Its roots are the first of those in force, so that keys which were taken back since cannot sign another past.
    Refuses AGREEMENT_ROOT, AGREEMENT_FORM for another version, AGREEMENT_MISSING, and as `load_agreement`.
    """
    known = read_agreement_files(home).roots
    if files.roots != known[: len(files.roots)]:
        raise UntrustedError("AGREEMENT_ROOT", "expected the roots out of which the agreement in force grew")
    found = load_agreement(files, trusted_root=pinned_root(home), now=now, previous=None)
    if found.version != version:
        raise MalformedError("AGREEMENT_FORM", f"expected agreement version {version}, got {found.version}")
    return found


def install_agreement(
    home: Path, files: AgreementFiles, *, now: datetime, verify: Callable[[Agreement], object] = lambda _: None
) -> Agreement:
    """Verifies an agreement against the pinned root and the version in force, and puts it in force.

    The same files, or an equally new refresh, change nothing. Durable when this returns; after a crash either version
    stands. Refuses AGREEMENT_MISSING when nothing is pinned, AGREEMENT_EXPIRED, as `load_agreement`, and as `verify`.
    """
    previous = load_home_agreement(home, now=now) if has_agreement(home) else None
    if previous is not None and read_agreement_files(home) == files:
        return previous
    agreement = load_agreement(files, trusted_root=pinned_root(home), now=now, previous=previous)
    if previous is not None and _stamp(agreement) == _stamp(previous):
        return previous
    verify(agreement)
    versions = home / "agreement" / "versions"
    make_private_folder(versions)
    name = f"{agreement.version}.{agreement.timestamp_version}"
    _write_version(versions, name, files)
    _point_current(home, name)
    _forget_older_refreshes(home, agreement)
    return agreement


def refresh(home: Path, keyring: Keyring, now: datetime, *, lifetime: timedelta = FRESHNESS_LIFETIME) -> Agreement:
    """Re-signs with this node's freshness key that the version in force is still the newest, and installs that.

    Works on a lapsed or expired one while its content holds. Refuses KEY_MISSING, AGREEMENT_MISSING, AGREEMENT_EXPIRED.
    """
    agreement = load_home_agreement(home, now=now)
    files = refreshed_files(read_agreement_files(home), agreement, keyring, now=now, lifetime=lifetime)
    return install_agreement(home, files, now=now)


def refreshed_files(
    files: AgreementFiles, previous: Agreement | None, keyring: Keyring, *, now: datetime, lifetime: timedelta
) -> AgreementFiles:
    """Returns the same targets under a new snapshot and timestamp, freshly signed. Refuses KEY_MISSING."""
    signers = [signer for signer in (keyring.freshness, keyring.next_freshness) if signer is not None]
    if not signers:
        raise NotFoundError("KEY_MISSING", "expected a freshness key in this home; another node may refresh as well")
    # Counted by the clock, not by one: two nodes that refresh apart stay in order, and a publisher is never behind.
    clock = int(now.timestamp())
    snapshot_version = max(clock, previous.snapshot_version + 1 if previous else 1)
    timestamp_version = max(clock, previous.timestamp_version + 1 if previous else 1)
    snapshot = make_snapshot(files.targets, version=snapshot_version, now=now, lifetime=lifetime)
    snapshot = reduce(sign_metadata, signers, snapshot)
    timestamp = make_timestamp(snapshot, version=timestamp_version, now=now, lifetime=lifetime)
    return replace(files, snapshot=snapshot, timestamp=reduce(sign_metadata, signers, timestamp))


def _stamp(agreement: Agreement) -> tuple[int, int, int]:
    return agreement.root_version, agreement.version, agreement.timestamp_version


def _write_version(versions: Path, name: str, files: AgreementFiles) -> None:
    partial = versions / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    write_repository(partial, files)
    # Left over from a crash before `current` moved; nothing points to it.
    shutil.rmtree(versions / name, ignore_errors=True)
    partial.rename(versions / name)
    sync_folder(versions)


def _point_current(home: Path, name: str) -> None:
    pointer = home / "agreement" / ".current.partial"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(Path("versions") / name)
    pointer.replace(home / "agreement" / "current")
    sync_folder(home / "agreement")


def _forget_older_refreshes(home: Path, agreement: Agreement) -> None:
    for folder in (home / "agreement" / "versions").iterdir():
        match = _VERSION_FOLDER.fullmatch(folder.name)
        if match and int(match[1]) == agreement.version and int(match[2]) < agreement.timestamp_version:
            shutil.rmtree(folder, ignore_errors=True)


def _find_version(home: Path, version: int) -> Path | None:
    folders = [*(home / "agreement" / "versions").glob(f"{version}.*")]
    found = [folder for folder in folders if _VERSION_FOLDER.fullmatch(folder.name)]
    return max(found, key=lambda folder: int(folder.name.partition(".")[2]), default=None)


def _read_if_there(path: Path) -> bytes:
    return read_file(path) if path.exists() else b""


def _safe_path(path: str) -> str:
    if len(path) > 200 or not _PATH.fullmatch(path) or ".." in path:
        raise MalformedError("AGREEMENT_FORM", f"expected a plain relative file name, got {path!r:.80}")
    return path
