"""Texts of a question: another form than a desk writes is refused at the node's port, whoever's client sent it."""

import pytest

from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.unseen import written
from federation.wire.agency import corrections, intake, lookups, permits, registers
from tests.seen import DOUBTS, OTHER_FORMS, UNSEEN_SIGNS
from tests.wire import calls, register_samples
from tests.wire.answers import ACT, APPLICATION
from tests.wire.calls import CALLS
from tests.wire.house import JIANGXI, House

TEXTS = (
    (
        permits.REGISTER_PERMIT,
        lambda text: replace(APPLICATION, holder=replace(APPLICATION.holder, name=text)),
        "holder_name",
    ),
    (permits.REGISTER_PERMIT, lambda text: replace(APPLICATION, residence_address=text), "residence_address"),
    (
        permits.IMPORT_PERMITS,
        lambda text: replace(calls.CHUNK, rows=(import_of(text), calls.CHUNK.rows[1])),
        "holder_name",
    ),
    (registers.REGISTER_VEHICLES, lambda text: (replace(register_samples.VEHICLE, brand_model=text),), "brand_model"),
    (
        registers.REGISTER_ENTERPRISES,
        lambda text: (register_samples.ENTERPRISE, replace(register_samples.ENTERPRISE, name=text)),
        "name",
    ),
    (lookups.OPEN_CASE, lambda text: replace(calls.CASE, letter=text), "letter"),
    (corrections.FILE_CORRECTION, lambda text: replace(calls.FILING, value=text), "value"),
    (intake.REFUSE_INTAKE, lambda text: replace(calls.REFUSE, words=text), "words"),
)
BY_FIELD = pytest.mark.parametrize(
    ("rpc", "question", "field"), TEXTS, ids=[f"{each[0].name} {each[2]}" for each in TEXTS]
)


def import_of(name):
    return permits.PermitImport(application=replace(APPLICATION, holder=replace(APPLICATION.holder, name=name)))


@pytest.mark.attack("one person under five names, by another client than ours", held_by="wire/gatekeeper")
@BY_FIELD
async def test_text_in_another_form_than_a_desk_writes_is_refused_at_the_rpc(house: House, rpc, question, field):
    """What is signed cannot be mended by the node: it names the field, and no step is taken. The one form passes."""
    issued = house.authorities[JIANGXI].agency(str(next(call for call in CALLS if call.rpc is rpc).caller))
    given = [(text, "TEXT_FORM") for pairs in OTHER_FORMS.values() for text, _ in pairs]
    given += [(f"周{sign}", "TEXT_UNSEEN") for each, signs in UNSEEN_SIGNS.items() if each != "Cs" for sign in signs]
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for text, reason in given:
            with pytest.raises(MalformedError) as caught:
                await client.call(rpc, ACT, question(text))
            assert (caught.value.reason, caught.value.facts.get("field")) == (reason, field)
        assert house.functions.calls == []
        formed = [text for pairs in OTHER_FORMS.values() for _, text in pairs]
        doubted = [sign for signs in DOUBTS.values() for sign in signs if written(sign) == sign]
        for text in (*formed, *doubted):
            await client.call(rpc, ACT, question(text))
    assert len(house.functions.calls) == len(formed) + len(doubted)
