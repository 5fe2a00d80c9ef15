"""A witness that is no member, a program of another language in a process of its own, named in the agreement."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit.verify_log import verify_head, witnessed_size
from federation.node.exchange.send import send
from federation.node.home.draft import load_witness_sheet
from federation.node.log.boot import check_boot
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.tlog.note import KeyKind, Vkey, format_vkey
from federation.protocol.trust import Agreement
from federation.protocol.trust.draft import OutsideWitness, format_tlog_policy
from federation.protocol.trust.witnesses import enough_to_start, log_policy, log_witnesses
from federation.wire.read_client import WitnessClients
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, START, ZHEJIANG, draft, kit, running_rig
from tests.vectors.goverify_build import go_witness

NAME, SEED = "witness.example.edu/w1", bytes(range(32))
VKEY = format_vkey(
    Vkey(
        name=NAME,
        kind=KeyKind.COSIGNATURE,
        public_key=Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw(),
    )
)


@pytest.fixture(scope="module")
def university(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWitness]:
    program = go_witness(tmp_path_factory.mktemp("gowitness"))
    logs = [member.log_vkey for member in kit().agreement.members.values()]
    process = subprocess.Popen(
        [program, NAME, SEED.hex(), str(int(START.timestamp())), *logs], stdout=subprocess.PIPE, text=True
    )
    port = process.stdout.readline().strip()
    yield OutsideWitness(name="university", vkey=VKEY, url=f"http://127.0.0.1:{port}")
    process.kill()
    process.communicate()


def with_witness(agreement: Agreement, third_party: OutsideWitness) -> Agreement:
    witnesses = {name: member.witness_vkey for name, member in agreement.members.items()}
    policies = {
        f"tlog-policy/{name}": format_tlog_policy(member.log_vkey, witnesses, [third_party]).encode()
        for name, member in agreement.members.items()
    }
    return replace(agreement, files={**agreement.files, **policies})


async def test_third_party_cosigns_is_counted_and_is_asked_at_the_start(
    tmp_path: Path, university: OutsideWitness
) -> None:
    """With one province down, four of five: the head has the quorum by the status, the audit, and the next start."""
    async with running_rig(tmp_path, (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)) as rig:
        agreement = with_witness(rig.agreement, university)
        rig.put_in_force(agreement)
        clients = WitnessClients(timeout_seconds=60)

        async def post(url: str, body: bytes) -> tuple[int, bytes]:
            is_theirs = url.startswith(university.url)
            return await (clients.post(url, body) if is_theirs else rig.post_checkpoint(url, body))

        async def ask(url: str, origin: str) -> bytes:
            return await (clients.ask(url, origin) if url.startswith(university.url) else rig.ask_cosigned(url, origin))

        await rig.hosts[FUJIAN].crash()
        cosigning = rig.cosigning(post=post, ask=ask)
        for _ in range(3):
            await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
            await cosigning.offer(rig[ZHEJIANG].sequencer.head)

        assert cosigning.cosigned_size("university") == 3
        assert cosigning.quorum is not None
        assert (cosigning.quorum.is_met, cosigning.quorum.lines, cosigning.quorum.missing) == (True, 4, ("fujian",))

        note, policy = cosigning.checkpoint(), log_policy(agreement, ZHEJIANG)
        head = verify_head(ZHEJIANG, note, agreement=agreement, now=rig.clock(), where="that it publishes")
        assert witnessed_size([head], policy) == (4, 3)
        finding = await check_boot(rig.hosts[ZHEJIANG].parts.log, agreement, ask=ask, now=rig.clock())
        assert finding.confirmed == ("anhui", "jiangxi", "university")

        async def no_page(url: str, origin: str) -> bytes:
            if url.startswith(university.url):
                raise NotFoundError("FILE_MISSING", "no such page")
            return await rig.ask_cosigned(url, origin)

        finding = await check_boot(rig.hosts[ZHEJIANG].parts.log, agreement, ask=no_page, now=rig.clock())
        assert (finding.silent, finding.is_enough) == (("fujian", "university"), True)
        clients.close()


def test_policy_with_a_third_party_keeps_two_quorums_apart_by_one_liar(university: OutsideWitness) -> None:
    """Five witnesses need four lines: two sets of four share three. Members alone need three of four, as ever."""
    agreement = kit().agreement
    assert log_policy(agreement, ZHEJIANG).groups[0].threshold == 3
    five = log_policy(with_witness(agreement, university), ZHEJIANG)
    assert (five.groups[0].threshold, len(five.witnesses), enough_to_start(five)) == (4, 5, 2)
    assert enough_to_start(log_policy(agreement, ZHEJIANG)) == 2
    assert [each.name for each in log_witnesses(agreement, ZHEJIANG)] == [ANHUI, FUJIAN, JIANGXI]


def test_witness_sheet_reads_third_parties(tmp_path: Path) -> None:
    """`[[witness]]` in agreement.toml; one without a key is refused with the place."""
    sheet = tmp_path / "agreement.toml"
    sheet.write_text(f'[[witness]]\nname = "university"\nvkey = "{VKEY}"\nurl = "http://w.example"\n')
    assert load_witness_sheet(sheet) == (OutsideWitness(name="university", vkey=VKEY, url="http://w.example"),)
    sheet.write_text('[[witness]]\nname = "university"\n')
    with pytest.raises(MalformedError, match="AGREEMENT_WITNESS"):
        load_witness_sheet(sheet)
