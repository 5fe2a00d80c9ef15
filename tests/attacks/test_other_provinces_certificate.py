"""A whole node over real TLS, and callers with the wrong certificate."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.node.home.certificates import Issued, find_side, issue_peer
from federation.node.home.keyring import load_keyring
from federation.node.serve import Running, running_node, utc_now
from federation.protocol.body import commit_body
from federation.protocol.envelope import sign_envelope
from federation.protocol.errors import BridgeheadError, UntrustedError
from federation.protocol.ids import NodeName, format_message_id, truncate_to_millisecond
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.statement import AgreementRef, Recipient, Statement, encode_statement
from federation.wire.peer import PeerClient
from federation.wire.rpc import TlsFiles
from tests.node.rig import cause, sync_body
from tests.scenarios.provinces import ISLAND, Federation, make_federation

JIANGXI = NodeName("jiangxi")


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return make_federation(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def jiangxi(federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """Jiangxi's node with an empty store."""
    shutil.rmtree(federation.home("jiangxi") / "heads", ignore_errors=True)  # of another store
    monkeypatch.setenv("BRIDGEHEAD_DATABASE", f"sqlite:///{tmp_path}/node.db")
    async with running_node(federation.home("jiangxi"), island=ISLAND) as running:
        yield running


def message(federation: Federation, running: Running) -> Submission:
    """A message of Zhejiang to Jiangxi, as Zhejiang signs it."""
    agreement, body, now = running.node.trust.in_force.agreement, sync_body(), truncate_to_millisecond(utc_now())
    made = Statement(
        federation=agreement.federation, realm=agreement.realm, id=format_message_id(now, os.urandom(10)),
        kind="permit.sync", sender=cause().sender, recipient=Recipient(node=JIANGXI), seq=1, purpose="permit.sharing",
        function="F01", basis="居住证暂行条例第七条", created=now, expires=now + agreement.statement_lifetime,
        agreement=AgreementRef(version=agreement.version, digest=agreement.digest), body=commit_body(body),
    )  # fmt: skip
    key = load_keyring(federation.home("zhejiang")).message
    return Submission(envelope=sign_envelope(encode_statement(made), key), body=body)


async def submit(running: Running, federation: Federation, tls: TlsFiles, sent: Submission) -> object:
    member = running.node.trust.in_force.agreement.members[JIANGXI]
    client = PeerClient(
        member.peer_addr,
        tls=tls,
        authority=lambda: member.tls_ca,
        server_name=f"jiangxi.{running.node.settings.federation}",
    )
    try:
        (answer,) = await client.submit([sent], timeout_seconds=60)
    finally:
        await client.close()
    return answer


def files_of(federation: Federation, name: str) -> TlsFiles:
    side = find_side(federation.home(name), "peer")
    return TlsFiles(certificate=side.certificate, key=side.key)


def forged(federation: Federation, by: str, folder: Path) -> TlsFiles:
    """A certificate in Zhejiang's name, issued by another province's authority."""
    side = find_side(federation.home(by), "peer")
    authority = Issued(
        certificate=side.authority.read_bytes(), key=(side.authority.parent / "peer-ca.key").read_bytes()
    )
    issued = issue_peer(
        authority, federation="bridgehead.example", node=NodeName("zhejiang"), hosts=["localhost"], now=utc_now()
    )
    (folder / "forged.crt").write_bytes(issued.certificate)
    (folder / "forged.key").write_bytes(issued.key)
    return TlsFiles(certificate=folder / "forged.crt", key=folder / "forged.key")


async def test_message_with_its_senders_certificate_is_receipted(federation: Federation, jiangxi: Running) -> None:
    """The one combination that is right: Zhejiang's message over Zhejiang's connection."""
    answer = await submit(jiangxi, federation, files_of(federation, "zhejiang"), message(federation, jiangxi))
    assert isinstance(answer, Receipt)


async def test_message_over_another_provinces_connection_refused(federation: Federation, jiangxi: Running) -> None:
    """Fujian's certificate is good, and still speaks for Fujian only."""
    size = jiangxi.node.sequencer.head.size

    answer = await submit(jiangxi, federation, files_of(federation, "fujian"), message(federation, jiangxi))

    assert isinstance(answer, UntrustedError)
    assert answer.reason == "SIGNER_UNKNOWN"
    assert jiangxi.node.sequencer.head.size == size


@pytest.mark.parametrize("by", ["fujian", "jiangxi"])
async def test_certificate_in_zhejiangs_name_by_another_authority_refused(
    federation: Federation, jiangxi: Running, tmp_path: Path, by: str
) -> None:
    """Each province's authority can name its own node only, the receiver's own authority included."""
    size = jiangxi.node.sequencer.head.size

    with pytest.raises(BridgeheadError) as caught:
        await submit(jiangxi, federation, forged(federation, by, tmp_path), message(federation, jiangxi))

    assert isinstance(caught.value, UntrustedError)
    assert jiangxi.node.sequencer.head.size == size


async def test_certificate_of_an_agency_is_no_peer(federation: Federation, jiangxi: Running) -> None:
    """An agency of Jiangxi cannot speak as a province on the peer port."""
    folder = next(path for path in (federation.home("jiangxi") / "clients").iterdir() if path.is_dir())
    tls = TlsFiles(certificate=folder / "client.crt", key=folder / "client.key")
    size = jiangxi.node.sequencer.head.size

    with pytest.raises(BridgeheadError):
        await submit(jiangxi, federation, tls, message(federation, jiangxi))

    assert jiangxi.node.sequencer.head.size == size
