"""Who registers whose key: the office's own administrators, by their own keys, and nobody else. Real node and port.

One home for the file; each test has an office of its own.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from federation.domain.officers import KeyStanding, OfficerKey, offer_key, parse_offer
from federation.node import officer_keys
from federation.node.exchange.errand import begin_errand
from federation.node.home_store import write_administrator
from federation.node.officer_keys import find_key
from federation.node.serve import Running, running_node
from federation.protocol.errors import BridgeheadError, RuleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.wire.agency.keys import LIST_KEYS, REGISTER_KEY, WITHDRAW_KEY, KeyQuery, KeyQuestion
from federation.wire.agency.lookups import LIST_LOOKUPS, LookupQuery
from federation.wire.agency.oversight import LIST_FLAGS, FlagQuery
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.scenarios.provinces import ISLAND, Federation, make_federation

pytestmark = pytest.mark.attack("a key registered by somebody else than the office's administrator", held_by="own keys")
ADMIN, SECOND, OFFICER = "admin-1", "admin-2", "officer-1"


def key(seed: int) -> Ed25519Signer:
    return Ed25519Signer(bytes([seed]) * 32)


def act(officer: str = ADMIN, *, request_id: str = "") -> Act:
    return Act(
        request_id=request_id or str(uuid.uuid4()), purpose="keys.administration", function="F03", officer=officer
    )


@dataclass
class Office:
    """An office and who has which key there; the administrator was enrolled by the home's holder."""

    federation: Federation
    running: Running
    agency: AgencyId
    keys: dict[str, Ed25519Signer]

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[AgencyClient]:
        client = AgencyClient(self.federation.profile(self.agency), sign=lambda officer: self.keys[officer])
        try:
            yield client
        finally:
            await client.close()

    def offered(self, officer: str, signer: Ed25519Signer, *, agency: AgencyId | None = None) -> KeyQuestion:
        self.keys[officer] = signer
        offer = parse_offer(offer_key(signer, agency=agency or self.agency, officer=officer))
        return KeyQuestion(officer=officer, key=offer.key, proof=offer.proof)

    def standing(self, officer: str) -> KeyStanding | None:
        found = find_key(self.running.node.database, self.agency, officer, pinned=False)
        return found.standing if found is not None else None

    @property
    def size(self) -> int:
        return self.running.node.sequencer.head.size

    def since(self, size: int) -> Sequence[Leaf]:
        return [decode_leaf(entry) for entry in load_entries(self.running.node.database, size, self.size - size)]


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return make_federation(tmp_path_factory.mktemp("keys"))


COUNTIES = iter(("361123", "361103", "361181", "361104", "361124", "361128"))


@pytest.fixture
async def office(federation: Federation) -> AsyncIterator[Office]:
    """An office whose first administrator the home's holder enrolled, at a running node."""
    agency, home = parse_agency_id(f"jiangxi/{next(COUNTIES)}/police"), federation.home("jiangxi")
    async with running_node(home, island=ISLAND) as running:
        made = Office(federation, running, agency, {ADMIN: key(1)})
        write_administrator(home, offer_of(made, ADMIN, key(1)), now=datetime.now(UTC))
        yield made


def offer_of(office: Office, name: str, signer: Ed25519Signer):
    return parse_offer(offer_key(signer, agency=office.agency, officer=name))


async def refused(client: AgencyClient, officer: str, question: KeyQuestion | str) -> str:
    """The reason of a no to an administrator's call."""
    with pytest.raises(BridgeheadError) as caught:
        if isinstance(question, str):
            await client.call(WITHDRAW_KEY, act(officer), question)
        else:
            await client.call(REGISTER_KEY, act(officer), question)
    return caught.value.reason


async def test_administrator_registers_what_an_officer_offers(office: Office) -> None:
    """A leaf and a notice of each; the officer then acts, and withdrawn no more; every step is repeated by its id."""
    async with office.client() as client:
        size, once = office.size, str(uuid.uuid4())
        offered = office.offered(OFFICER, key(2))
        made = await client.call(REGISTER_KEY, act(request_id=once), offered)
        assert made == OfficerKey(
            agency=office.agency, officer=OFFICER, version=1, standing=KeyStanding.REGISTERED, key=offered.key
        )
        assert await client.call(REGISTER_KEY, act(request_id=once), offered) == made
        assert [leaf.kind for leaf in office.since(size)] == [LeafKind.OFFICER_KEY] * 2  # the administrator's, and this
        assert (await client.call(LIST_LOOKUPS, act(OFFICER), LookupQuery())).lines == ()
        flags = (await client.call(LIST_FLAGS, act(OFFICER), FlagQuery())).flags
        assert [ADMIN in flag.sentence_en for flag in flags] == [True]

        gone = await client.call(WITHDRAW_KEY, act(request_id=(again := str(uuid.uuid4()))), OFFICER)
        assert (gone.standing, gone.version) == (KeyStanding.WITHDRAWN, 2)
        assert await client.call(WITHDRAW_KEY, act(request_id=again), OFFICER) == gone
        with pytest.raises(UntrustedError, match="OFFICER_KEY_WITHDRAWN"):
            await client.call(LIST_LOOKUPS, act(OFFICER), LookupQuery())
        assert await refused(client, ADMIN, OFFICER) == "OFFICER_KEY_UNKNOWN"

        page = await client.call(LIST_KEYS, act(), KeyQuery(page_size=1))
        assert [(each.officer, each.standing) for each in page.keys] == [(ADMIN, KeyStanding.ADMINISTERS)]
        page = await client.call(LIST_KEYS, act(), KeyQuery(page_token=page.next_page_token))
        assert [each.officer for each in page.keys] == [OFFICER]


async def test_nobody_else_registers_and_each_no_is_logged(office: Office) -> None:
    """Not an officer, not a stranger under her name, not with an offer that was made for another or by another key."""
    async with office.client() as client:
        await client.call(REGISTER_KEY, act(), office.offered(OFFICER, key(2)))
        hers = office.offered("officer-2", key(3))
        elsewhere = office.offered("officer-2", key(3), agency=parse_agency_id("jiangxi/361130/police"))
        forged = replace(hers, key=format_public_key(key(4).public_key))
        size = office.size
        assert await refused(client, OFFICER, hers) == "ADMINISTRATOR_KEY"
        assert await refused(client, OFFICER, ADMIN) == "ADMINISTRATOR_KEY"
        assert await refused(client, ADMIN, elsewhere) == "OFFER_PROOF"
        assert await refused(client, ADMIN, forged) == "OFFER_PROOF"
        assert await refused(client, ADMIN, replace(hers, officer="officer-3")) == "OFFER_PROOF"
        office.keys[ADMIN] = key(9)
        assert await refused(client, ADMIN, hers) == "OFFICER_KEY"
        assert [leaf.kind for leaf in office.since(size)] == [LeafKind.REFUSED] * 6
        assert office.standing("officer-2") is None


async def test_administrator_never_becomes_an_officer(office: Office) -> None:
    """Neither in her name nor with her key, nor an officer with theirs an administrator; and she asks nothing."""
    async with office.client() as client:
        with pytest.raises(UntrustedError, match="OFFICER_KEY"):
            await client.call(LIST_LOOKUPS, act(), LookupQuery())
        own, officers = office.keys[ADMIN], key(2)
        assert await refused(client, ADMIN, office.offered(OFFICER, own)) == "OFFICER_KEY_TAKEN"
        in_her_name = office.offered(ADMIN, key(5))
        office.keys[ADMIN] = own
        assert await refused(client, ADMIN, in_her_name) == "OFFICER_KEY_ROLE"
        assert await refused(client, ADMIN, replace(in_her_name, replaces=True)) == "OFFICER_KEY_ROLE"
        offered = office.offered(OFFICER, officers)
        await client.call(REGISTER_KEY, act(), offered)
        assert await refused(client, ADMIN, replace(offered, administers=True)) == "OFFICER_KEY_ROLE"
        shared = replace(office.offered(SECOND, officers), administers=True)
        assert await refused(client, ADMIN, shared) == "OFFICER_KEY_TAKEN"
        assert (office.standing(ADMIN), office.standing(OFFICER)) == (KeyStanding.ADMINISTERS, KeyStanding.REGISTERED)


async def test_withdrawn_and_replaced_keys_never_come_back(office: Office) -> None:
    """Under the same name or another; a new key under the old name is one that is noticed."""
    async with office.client() as client:
        first, second = office.offered(OFFICER, key(2)), office.offered(OFFICER, key(3))
        await client.call(REGISTER_KEY, act(), first)
        assert await refused(client, ADMIN, second) == "OFFICER_KEY_EXISTS"
        await client.call(REGISTER_KEY, act(), replace(second, replaces=True))
        assert await refused(client, ADMIN, replace(first, replaces=True)) == "OFFICER_KEY_WITHDRAWN"
        await client.call(WITHDRAW_KEY, act(), OFFICER)
        assert await refused(client, ADMIN, second) == "OFFICER_KEY_WITHDRAWN"
        assert await refused(client, ADMIN, office.offered("officer-2", key(3))) == "OFFICER_KEY_TAKEN"
        assert (await client.call(REGISTER_KEY, act(), office.offered(OFFICER, key(4)))).version == 4


async def test_office_is_never_without_an_administrator(office: Office) -> None:
    """The last one stays; the home enrols nobody beside her, unless her key is lost: then in the place of all."""
    home = office.federation.home("jiangxi")
    async with office.client() as client:
        assert await refused(client, ADMIN, ADMIN) == "LAST_ADMINISTRATOR"
        with pytest.raises(RuleError, match="ADMINISTRATOR_EXISTS"):
            write_administrator(home, offer_of(office, "admin-9", key(9)), now=datetime.now(UTC))
        await client.call(REGISTER_KEY, act(), replace(office.offered(SECOND, key(6)), administers=True))
        await client.call(WITHDRAW_KEY, act(SECOND), ADMIN)
        assert await refused(client, ADMIN, SECOND) == "OFFICER_KEY_WITHDRAWN"
        assert await refused(client, SECOND, SECOND) == "LAST_ADMINISTRATOR"

        write_administrator(home, offer_of(office, "admin-9", key(9)), now=datetime.now(UTC), replaces=True)
        assert (office.standing(SECOND), office.standing("admin-9")) == (
            KeyStanding.WITHDRAWN, KeyStanding.ADMINISTERS,
        )  # fmt: skip


async def test_administrator_who_is_gone_or_too_busy_changes_nothing(office: Office, monkeypatch) -> None:
    """A step that began before she was withdrawn finds it in its transaction; an office has so many changes a day."""
    node = office.running.node
    async with office.client() as client:
        await client.call(REGISTER_KEY, act(), replace(office.offered(SECOND, key(6)), administers=True))
        begun = begin_errand(node, office.agency, act())
        await client.call(WITHDRAW_KEY, act(SECOND), ADMIN)
        with pytest.raises(RuleError, match="ADMINISTRATOR_KEY"):
            await officer_keys.register(begun, office.offered(OFFICER, key(2)))

        monkeypatch.setattr(officer_keys, "CHANGES_A_DAY", 3)
        await client.call(REGISTER_KEY, act(SECOND), office.offered(OFFICER, key(2)))
        assert await refused(client, SECOND, OFFICER) == "QUOTA_KEYS"
        assert office.standing(OFFICER) is KeyStanding.REGISTERED
