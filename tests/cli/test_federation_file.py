"""`federation.json`: it says where, and the pinned root says whom to trust."""

from __future__ import annotations

import json

import pytest

from federation.cli.audited import Sought, find_federation
from federation.cli.options import load_federation_file
from federation.node.home.agreement import write_repository
from federation.protocol.errors import MalformedError, NotFoundError, UntrustedError
from federation.protocol.ids import AgencyId
from federation.protocol.trust.metadata import root_digest
from tests.protocol.trust import four


@pytest.fixture
def files():
    return four.build(four.Plan())


def write(folder, files, **changes):
    write_repository(folder / "agreement", files)
    value = {
        "agreement": {"path": "agreement", "root": root_digest(files.roots[0])},
        "nodes": [{"node": four.ZHEJIANG, "read_url": "http://127.0.0.1:1"}],
        "clients": [{"agency": "zhejiang/330822/audit", "profile": "profile.toml"}],
        **changes,
    }
    (folder / "federation.json").write_text(json.dumps(value))
    return folder / "federation.json"


def test_file_names_urls_and_profiles_beside_itself(tmp_path, files):
    """Relative paths count from the file's own folder, where there is something."""
    (tmp_path / "profile.toml").touch()

    found = load_federation_file(write(tmp_path, files))

    assert found.read_urls == {four.ZHEJIANG: "http://127.0.0.1:1"}
    assert found.profiles == {AgencyId(four.ZHEJIANG, "330822", "audit"): tmp_path / "profile.toml"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_file_that_an_editor_saved_is_read(tmp_path, files, encoding):
    """A person may have edited it: a mark of byte order, or the encoding of a Windows shell, is no fault."""
    path = write(tmp_path, files)
    path.write_text(path.read_text(), encoding=encoding)

    assert load_federation_file(path).read_urls == {four.ZHEJIANG: "http://127.0.0.1:1"}


@pytest.mark.parametrize("form", ["digest", "file"])
def test_agreement_is_loaded_under_the_pinned_root(tmp_path, files, form):
    """The root is pinned by its bytes or by their digest."""
    (tmp_path / "root-1.json").write_bytes(files.roots[0])
    root = root_digest(files.roots[0]) if form == "digest" else "root-1.json"
    path = write(tmp_path, files, agreement={"path": "agreement", "root": root})

    agreement = find_federation(Sought(file=path)).agreement

    assert set(agreement.members) == set(four.NODES)


@pytest.mark.parametrize(
    ("root", "kind"), [("00" * 32, UntrustedError), ("absent.json", NotFoundError)], ids=["other digest", "no file"]
)
def test_agreement_under_another_root_is_refused(tmp_path, files, root, kind):
    """Nothing is trusted on first sight."""
    path = write(tmp_path, files, agreement={"path": "agreement", "root": root})

    with pytest.raises(kind):
        find_federation(Sought(file=path))


@pytest.mark.parametrize(
    "changes",
    [{"nodes": {}}, {"nodes": ["zhejiang"]}, {"agreement": 1}, {"clients": None}, {"nodes": [{"node": "zhejiang"}]}],
    ids=["no list", "no objects", "no agreement", "no clients", "no address"],
)
def test_file_of_another_form_is_refused(tmp_path, files, changes):
    """The field that is wrong is named."""
    with pytest.raises(MalformedError):
        load_federation_file(write(tmp_path, files, **changes))
