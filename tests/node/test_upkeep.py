"""A newer agreement comes into force without a restart, an older one never; a rotated key signs when it may."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.retention import CORRECTION
from federation.node.exchange.send import send
from federation.node.features import KINDS
from federation.node.home.agreement import file_marks, install_agreement, read_agreement_files, refresh
from federation.node.home.draft import draft_agreement, publish_draft, sign_draft
from federation.node.home.keyring import Office, load_keyring, rotate_key
from federation.node.home.setup import member_bundle
from federation.node.joint.records import RULES
from federation.node.node import Node, Trust
from federation.node.serve import Parts, build_node, utc_now
from federation.node.status import node_status
from federation.node.upkeep import take_from_home, take_from_peers, take_rules
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import NotFoundError, RuleError, StaleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair
from federation.protocol.keys import PublicKey
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.trust import AgreementFiles
from federation.store.log_reader import load_entries
from federation.store.messages import list_messages
from tests.node.rig import JIANGXI, ZHEJIANG, draft, without_rule
from tests.scenarios.node_process import close_node, open_node
from tests.scenarios.provinces import ALL, NODES, POLICIES, Federation, make_federation


@dataclass
class Scene:
    """Four homes, and Zhejiang's node without ports."""

    federation: Federation
    parts: Parts
    folder: Path

    @property
    def node(self) -> Node:
        return self.parts.node

    @property
    def home(self) -> Path:
        return self.federation.home("zhejiang")

    def publish(
        self, *, into: tuple[str, ...] = ALL, policies: Path = POLICIES, after: str = "zhejiang"
    ) -> AgreementFiles:
        """The next version out of the homes as they are now, signed by three."""
        out = self.folder / f"draft-{len(list(self.folder.glob('draft-*')))}"
        bundles = [member_bundle(self.federation.home(name), now=utc_now()) for name in ALL]
        previous = read_agreement_files(self.federation.home(after))
        draft_agreement(out, bundles, nodes=NODES, policies=policies, previous=previous, now=utc_now())
        signers = ALL[:3] if after == "zhejiang" else ALL[1:]
        for name in signers:
            sign_draft(out, self.federation.home(name), now=utc_now())
        publish_draft(out, [self.federation.home(name) for name in into], now=utc_now())
        return read_agreement_files(self.federation.home(into[0]))

    def warnings(self) -> tuple[str, ...]:
        found = node_status(self.node, self.home, delivery=self.parts.delivery, cosigning=self.parts.cosigning)
        return found.warnings

    def leaves(self) -> list[LeafKind]:
        entries = load_entries(self.node.database, 0, self.node.sequencer.head.size)
        return [decode_leaf(entry).kind for entry in entries]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    federation = make_federation(tmp_path)
    parts = open_node(federation.home("zhejiang"))
    yield Scene(federation, parts, tmp_path)
    close_node(parts)


@dataclass
class Source:
    """A peer that hands out an agreement, or none."""

    files: AgreementFiles | None
    known: int = 0
    """The version whose targets it does not repeat to who has it."""

    async def fetch_agreement(
        self, known_version: int = 0, *, version: int = 0, timeout_seconds: float
    ) -> AgreementFiles:
        if self.files is None:
            raise UnavailableError("PEER_DOWN", "down")
        return replace(self.files, targets=b"", files={}) if not version and known_version == self.known else self.files


async def test_take_from_home_puts_what_was_published_in_force_and_logs_it(scene: Scene) -> None:
    """`agreement publish` needs no restart; the leaf says from when on messages were judged under it."""
    await take_from_home(scene.node, scene.home)
    assert scene.leaves() == []

    scene.publish()
    await take_from_home(scene.node, scene.home)
    await take_from_home(scene.node, scene.home)

    assert scene.node.trust.in_force.agreement.version == 2
    assert scene.leaves() == [LeafKind.AGREEMENT]


async def test_take_from_home_that_was_set_back_changes_nothing(scene: Scene) -> None:
    """A disk restored from a backup does not bring an older agreement into force."""
    current = scene.home / "agreement" / "current"
    old = current.readlink()
    scene.publish()
    await take_from_home(scene.node, scene.home)
    current.unlink()
    current.symlink_to(old)

    with pytest.raises(StaleError) as caught:
        await take_from_home(scene.node, scene.home)

    assert caught.value.reason == "AGREEMENT_ROLLBACK"
    assert scene.node.trust.in_force.agreement.version == 2


async def test_take_from_peers_installs_the_newest_that_verifies(scene: Scene) -> None:
    """Peers that are down, hand out garbage or an older version are passed over."""
    old = read_agreement_files(scene.home)
    newer = scene.publish(into=("jiangxi",))
    tampered = replace(newer, files={**newer.files, "members.json": b"{}"})
    sources = [Source(None), Source(tampered), Source(newer), Source(old)]

    await take_from_peers(
        scene.node, scene.home, {NodeName(f"peer{number}"): source for number, source in enumerate(sources)}
    )

    assert scene.node.trust.in_force.agreement.version == 2
    assert read_agreement_files(scene.home) == newer
    assert scene.leaves() == [LeafKind.AGREEMENT]


async def test_take_from_peers_takes_the_freshness_alone_of_the_version_that_is_here(scene: Scene) -> None:
    """A refresh of the version in force comes without its targets, and stands over those that are here."""
    jiangxi = scene.federation.home("jiangxi")
    before, taken = read_agreement_files(scene.home), file_marks(scene.home)
    await take_from_peers(scene.node, scene.home, {JIANGXI: Source(before, known=1)})
    assert file_marks(scene.home) == taken

    refreshed = refresh(jiangxi, load_keyring(jiangxi), utc_now() + timedelta(seconds=2))
    newer = read_agreement_files(jiangxi)
    await take_from_peers(scene.node, scene.home, {JIANGXI: Source(newer, known=1)})

    assert scene.node.trust.in_force.agreement.timestamp_version == refreshed.timestamp_version
    assert (read_agreement_files(scene.home), newer.targets) == (newer, before.targets)
    assert file_marks(scene.home) != taken


async def test_file_marks_tell_a_file_that_was_changed_where_it_lies(scene: Scene) -> None:
    """What a duty passes over is only what nobody touched."""
    taken = file_marks(scene.home)
    assert file_marks(scene.home) == taken

    members = scene.home / "agreement" / "current" / "targets" / "members.json"
    members.write_bytes(members.read_bytes())

    assert file_marks(scene.home) != taken


@pytest.mark.parametrize("source", ["peer", "home"])
async def test_agreement_without_the_rule_of_a_kind_is_never_in_force(scene: Scene, source: str) -> None:
    """What no rule ends would be kept for ever: the one before stays, status says so, and a whole one is taken."""
    policies = scene.folder / "policies"
    shutil.copytree(POLICIES, policies)
    table = policies / "retention.toml"
    table.write_text(without_rule(table.read_text(), CORRECTION))
    before = read_agreement_files(scene.home)
    lacking = scene.publish(into=("jiangxi",) if source == "peer" else ALL, policies=policies)

    if source == "peer":
        await take_from_peers(scene.node, scene.home, {JIANGXI: Source(lacking)})
        assert read_agreement_files(scene.home) == before
    else:
        with pytest.raises(NotFoundError, match="RETENTION_RULE"):
            await take_from_home(scene.node, scene.home)

    assert (scene.node.trust.in_force.agreement.version, scene.leaves()) == (1, [])
    warnings = scene.warnings()
    assert "agreement version 2 is not put in force: RETENTION_RULE" in warnings

    if source == "peer":  # only Jiangxi holds version 2: the next one is the other provinces' version 3
        for name in ("fujian", "anhui"):
            install_agreement(scene.federation.home(name), lacking, now=utc_now())
        scene.publish(into=("zhejiang",), after="jiangxi")
    else:
        scene.publish(into=("zhejiang",))
    await take_from_home(scene.node, scene.home)
    assert scene.leaves() == [LeafKind.AGREEMENT]
    assert scene.warnings() == ()


async def _signed_by(scene: Scene) -> str:
    await send(scene.node, [draft()], rows=lambda _tx: None)
    found = list_messages(scene.node.database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=99)
    return parse_envelope(found[-1].envelope).signatures[0].keyid


async def test_rotated_message_key_signs_as_soon_as_the_agreement_names_it(scene: Scene) -> None:
    """Before: the old key. After the next version is in force: the new one. No restart between."""
    old = load_keyring(scene.home).message.public_key
    new: PublicKey = rotate_key(scene.home, Office.MESSAGE, now=utc_now())
    assert await _signed_by(scene) == old.key_id

    scene.publish()
    assert await _signed_by(scene) == old.key_id
    await take_from_home(scene.node, scene.home)

    assert await _signed_by(scene) == new.key_id


async def test_message_key_that_the_agreement_does_not_name_signs_nothing(scene: Scene) -> None:
    """A node whose keys are not agreed does not start, and one that runs sends nothing; its rows are undone."""
    agreement = scene.node.trust.in_force.agreement
    member = agreement.members[ZHEJIANG]
    ended = tuple(replace(key, valid_until=utc_now() - timedelta(seconds=1)) for key in member.message_keys)
    over = replace(agreement, members={**agreement.members, ZHEJIANG: replace(member, message_keys=ended)})
    scene.node.trust.replace(over)

    with pytest.raises(RuleError) as caught:
        await send(scene.node, [draft()], rows=lambda tx: tx.count_up("rows"))
    assert caught.value.reason == "MESSAGE_KEY_NOT_AGREED"
    assert scene.node.database.find_counter("rows") == 0
    assert scene.node.sequencer.head.size == 0
    with pytest.raises(RuleError):
        build_node(
            scene.node.settings, load_keyring(scene.home), Trust(over, KINDS.values()), home=scene.folder, now=utc_now
        )


async def test_rules_of_an_earlier_version_are_taken_from_the_home_that_held_it(scene: Scene) -> None:
    """A member that worked no case while a version was in force needs nobody for it."""
    scene.publish()
    await take_from_home(scene.node, scene.home)
    scene.node.rules_wanted.add(1)

    await take_rules(scene.node, scene.home, {})

    kept = RULES.find(scene.node.database, f"{1:08}")
    assert kept is not None
    assert "policies/procedures/dispute-mediation.toml" in kept.files
    assert scene.node.rules_wanted == set()


async def test_rules_that_the_provinces_did_not_sign_are_passed_over(scene: Scene) -> None:
    """Tampered, of another version, under other roots, or none: the next peer is asked, whose copy verifies."""
    old = read_agreement_files(scene.home)
    newer = scene.publish()
    await take_from_home(scene.node, scene.home)
    for folder in (scene.home / "agreement" / "versions").glob("1.*"):
        shutil.rmtree(folder)
    procedure = "policies/procedures/dispute-mediation.toml"
    tampered = replace(old, files={**old.files, procedure: old.files[procedure] + b"\n"})
    others = replace(old, roots=(*old.roots, old.roots[0]))
    false = {name: Source(files) for name, files in zip("abcd", (None, tampered, newer, others), strict=True)}
    false["broken"] = Source(replace(old, targets=None))  # breaks the reading in a way nobody thought of
    scene.node.rules_wanted.add(1)

    await take_rules(scene.node, scene.home, false)
    assert RULES.find(scene.node.database, f"{1:08}") is None

    scene.node.rules_wanted.add(1)
    await take_rules(scene.node, scene.home, {**false, "e": Source(old)})
    kept = RULES.find(scene.node.database, f"{1:08}")
    assert kept is not None
    assert kept.files[procedure] == old.files[procedure].decode()
    assert read_agreement_files(scene.home) == newer
