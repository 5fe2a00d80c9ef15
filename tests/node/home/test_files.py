"""Tests of `node.home.files`: rights, replacement, limits."""

from __future__ import annotations

import os
import stat

import pytest

from federation.node.home.files import (
    MAX_FILE_BYTES,
    make_home_folder,
    read_file,
    read_secret,
    require_private,
    write_public,
    write_secret,
)
from federation.protocol.errors import ConflictError, NotFoundError, UntrustedError


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_write_secret_is_0600_under_any_umask(tmp_path, umask):
    """Neither a lax nor a strict umask changes the rights of a secret."""
    before = os.umask(umask)
    try:
        write_secret(tmp_path / "a.key", b"secret")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert read_secret(tmp_path / "a.key") == b"secret"


def test_write_secret_over_another_refused_unless_meant(tmp_path):
    """A key is never overwritten by accident; no partial file is left."""
    write_secret(tmp_path / "a.key", b"one")

    with pytest.raises(ConflictError):
        write_secret(tmp_path / "a.key", b"two")
    write_secret(tmp_path / "a.key", b"three", replace=True)

    assert read_secret(tmp_path / "a.key") == b"three"
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_read_secret_that_is_public_refused(tmp_path):
    """A secret in a public file is none."""
    write_public(tmp_path / "a.key", b"one")

    with pytest.raises(UntrustedError) as refusal:
        read_secret(tmp_path / "a.key")

    assert refusal.value.reason == "KEY_FILE_MODE"


@pytest.mark.parametrize("name", ["", "node.toml", "node.log"], ids=["the folder", "settings", "log"])
def test_home_that_others_may_open_refused(tmp_path, name):
    """The settings may hold a password, the log says who asked: nobody else may read either."""
    home = tmp_path / "home"
    make_home_folder(home)
    for file in ("node.toml", "node.log"):
        write_secret(home / file, b"")
    require_private(home)

    (home / name).chmod(0o710)
    with pytest.raises(UntrustedError) as refusal:
        require_private(home)

    assert refusal.value.reason == "HOME_MODE"
    assert str(home / name) in refusal.value.message


def test_make_home_folder_takes_an_empty_one_and_none_that_others_use(tmp_path):
    """A folder that was made beforehand becomes private; one that holds something is left as it is."""
    empty, used = tmp_path / "empty", tmp_path / "used"
    for folder in (empty, used):
        folder.mkdir()
        folder.chmod(0o755)
    (used / "file").write_bytes(b"")

    make_home_folder(empty)
    with pytest.raises(UntrustedError):
        make_home_folder(used)

    assert (empty.stat().st_mode & 0o777, used.stat().st_mode & 0o777) == (0o700, 0o755)


@pytest.mark.parametrize("name", ["absent", "folder", "file/below"])
def test_read_file_that_is_none_refused(tmp_path, name):
    """Absent files, folders and files below files are named, without a traceback."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotFoundError) as refusal:
        read_file(tmp_path / name)

    assert refusal.value.reason == "FILE_MISSING"


def test_read_file_that_is_too_long_refused(tmp_path):
    """No file of a home is longer than a mebibyte."""
    (tmp_path / "long").write_bytes(bytes(MAX_FILE_BYTES + 1))

    with pytest.raises(NotFoundError):
        read_file(tmp_path / "long")
