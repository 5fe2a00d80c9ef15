"""The policies and their case tables: what the provinces agreed on, in cases that a non-programmer wrote."""

from __future__ import annotations

import re
import tomllib

import pytest

from federation.domain.cases import AnswerBy, find_failure, parse_cases
from federation.domain.corrections import CORRECTION_FUNCTION
from federation.domain.duty_roster import DUTY_FUNCTIONS
from federation.domain.figures_report import REPORT_FUNCTION
from federation.domain.functions import parse_functions
from federation.domain.leads import LEAD_FUNCTION
from federation.domain.lookups_case import LOOKUP_FUNCTION
from federation.domain.permits_policy import FUNCTION_OF
from federation.domain.procedure import parse_procedure
from federation.domain.registers import DOSSIER_FIELDS, REGISTER_FUNCTION
from federation.protocol.errors import MalformedError
from federation.protocol.policy import Effect, decide_afresh, load_policy_book
from federation.protocol.policy.explain import explain
from tests.policies.case_table import ROOT, load_cases, policy_files

BOOK = load_policy_book(policy_files())
NAMES = (
    "alerts.toml",
    "permits.toml",
    "lookups.toml",
    "corrections.toml",
    "registers.toml",
    "erasure.toml",
    "leads.toml",
    "leave.toml",
    "duty.toml",
    "figures.toml",
    "cases.toml",
    "audit-finding.toml",
    "oversight.toml",
)
TABLES = {name: load_cases(name, BOOK) for name in NAMES}
CASES = tuple(case for cases in TABLES.values() for case in cases)
INVESTIGATION = ("purpose", "lookup.criminal_investigation")
RELEASING = ("read-", "recognise-", "share-", "fetch-")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name_en)
def test_case_as_written_comes_out_as_written(case):
    """Every case of the table gives the verdict, the deciding policies and the fields that its author expects."""
    assert find_failure(BOOK, case) is None


@pytest.mark.parametrize(
    ("name", "least"), tuple(zip(NAMES, (40, 40, 25, 20, 20, 20, 20, 20, 20, 20, 20, 20, 8), strict=True))
)
def test_case_table_is_long_enough(name, least):
    """At least forty cases about permits and about alerts, 25 about look-ups, 8 about inspection, 20 of each other; allowed and refused."""
    assert len(TABLES[name]) >= least
    assert {case.expect.value for case in TABLES[name]} == {"allowed", "refused"}


def test_every_file_of_policies_has_its_case_table():
    """A table of cases stands beside each file of policies, others beside a procedure, and none is left unread."""
    files = {f"{path.stem}.toml" for path in (ROOT / "policies").glob("*.cedar")}
    procedures = {path.name for path in (ROOT / "policies" / "procedures").iterdir()}

    assert {path.name for path in (ROOT / "policies" / "cases").iterdir()} == set(TABLES)
    assert files <= set(TABLES) <= files | procedures


@pytest.mark.parametrize("path", sorted((ROOT / "policies" / "procedures").iterdir()), ids=lambda path: path.stem)
def test_every_procedure_has_cases_that_say_what_its_file_says(path):
    """One is allowed and one refused; purpose, function, role and what is shown of a class are those of the file.

    They stand in a table of its own, or among those of joint cases.
    """
    procedure = parse_procedure(path.read_text(encoding="utf-8"), path.stem)
    own = ROOT / "policies" / "cases" / path.name
    file = own if own.exists() else own.with_name("cases.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    usual, of = table["defaults"]["context"], table["defaults"]["resource"]["procedure"]
    rows = [row for row in table["case"] if row["resource"].get("procedure", of) == path.stem]
    assert {row["expect"] for row in rows} == {"allowed", "refused"}
    judged = [row for row in rows if (file == own or path.stem != of) and row["action"] in ("case.act", "case.see")]
    for said in ({**usual, **row["context"]} for row in judged if row["context"].get("ofProcedure", True)):
        assert (said["purpose"], said["function"]) == (procedure.purpose, procedure.function)
        assert said["role"] in procedure.roles
        side = procedure.roles[said["role"]].side.replace("any", "A")
        if said["act"] != "open":
            stages = ((), procedure.since)  # before any that opens more, and after all of them
            seen = [bool(procedure.seen(said["itemClass"], [said["role"]], side, entered=each)) for each in stages]
            assert said["inTable"] in seen


@pytest.mark.parametrize("policy_id", sorted(BOOK.policies))
def test_policy_decides_a_case(policy_id):
    """Every policy decides at least one case."""
    assert [case for case in CASES if policy_id in case.by]


@pytest.mark.parametrize("policy_id", sorted(BOOK.policies))
def test_policy_has_a_case_on_either_side(policy_id):
    """Every policy has a case of its actions where it decides, and one where it does not."""
    near = [case for case in CASES if policy_id in BOOK.engine.policies_of(case.request)]

    assert {policy_id in case.by for case in near} == {True, False}


@pytest.mark.parametrize("policy_id", sorted(BOOK.policies))
def test_policy_removed_changes_a_case(policy_id):
    """No policy is idle: without it at least one case comes out otherwise."""
    lesser = load_policy_book(_files_without(policy_id))
    decided = [case for case in CASES if policy_id in case.by]

    assert policy_id not in lesser.policies
    assert any(_outcome(lesser, case) != _outcome(BOOK, case) for case in decided)


def test_every_clause_is_missed_by_a_case():
    """Each clause of each permit is the only thing in the way of at least one case, so each clause is tested."""
    alone = set()
    for case in CASES:
        for permit in explain(BOOK, case.request).permits:
            missed = [number for number, clause in enumerate(permit.clauses, start=1) if not clause.met]
            if len(missed) == 1:
                alone.add((permit.id, missed[0]))
    wanted = {
        (policy.id, number)
        for policy in BOOK.policies.values()
        if policy.effect is Effect.PERMIT
        for number in range(1, len(policy.sentences) + 1)
    }

    assert wanted - alone == set()


def test_every_clause_has_its_sentence_in_two_languages():
    """A when or unless without its Chinese and its English sentence could not be explained at the window."""
    for policy in BOOK.policies.values():
        assert len(policy.sentences) == len(policy.tree.clauses) >= 1
        assert all(re.search(r"[\u4e00-\u9fff]", sentence.zh) for sentence in policy.sentences)
        assert re.search(r"[\u4e00-\u9fff]", policy.title_zh)
        assert policy.title_en.isascii()


def test_permits_that_release_fields_name_known_ones():
    """What may be read, recognised or shared is listed by name; no list holds a field that no kind of record has."""
    for policy in BOOK.policies.values():
        releases = policy.effect is Effect.PERMIT and policy.id.startswith(RELEASING)
        assert bool(policy.fields) == releases, policy.id
        assert not policy.fields or any(policy.fields <= known for known in DOSSIER_FIELDS.values())


def test_photo_and_ethnicity_never_cross_a_border():
    """No policy but the issuing county's own reading releases the photo or the ethnicity (PIPL article 28)."""
    for policy in BOOK.policies.values():
        if policy.id != "read-own-county":
            assert not policy.fields & {"photo_digest", "ethnicity"}, policy.id


def test_replica_readers_see_nothing_that_is_not_shared():
    """What may be read or recognised from a copy is what some copy holds."""
    shared = BOOK.policies["share-with-household"].fields | BOOK.policies["share-with-work"].fields

    for name in ("read-replica-police", "read-replica-service", "recognise-card", "recognise-time"):
        assert BOOK.policies[name].fields <= shared


def test_refusal_by_every_forbid_fits_into_a_leaf():
    """The ids of the forbids that can decide one action together leave room in a leaf of 1 kB."""
    for case in CASES:
        named = {name: BOOK.policies[name] for name in BOOK.engine.policies_of(case.request)}
        ids = [name for name, policy in named.items() if policy.effect is Effect.FORBID and _is_about(policy, case)]
        assert sum(len(name) + 3 for name in ids) <= 300


def test_functions_of_purposes_are_registered():
    """Every purpose belongs to a function of the register, with a name and a legal basis."""
    register = parse_functions((ROOT / "policies" / "functions.toml").read_text())

    for code in (
        *FUNCTION_OF.values(),
        LOOKUP_FUNCTION,
        CORRECTION_FUNCTION,
        LEAD_FUNCTION,
        *REGISTER_FUNCTION.values(),
        *DUTY_FUNCTIONS.values(),
        REPORT_FUNCTION,
    ):
        assert register.functions[code].name
        assert register.functions[code].legal_basis


@pytest.mark.parametrize(
    ("find", "put", "told"),
    [
        ("{ purpose =", "{ purpos =", "context: did not expect the name 'purpos'"),
        ('by = ["keep-own-permits"]', 'by = ["keep-own-permit"]', "no policy has the id 'keep-own-permit'"),
        ('expect = "allowed"', 'expect = "alowed"', "expected 'expect' to be one of allowed, refused"),
        ('action = "permit.register"', 'action = "permit.registr"', "no such action: 'permit.registr'"),
        ("household = ", "houshold = ", "resource: did not expect the name 'houshold'"),
        ('who = "zhejiang/330822/police"', 'who = "zhejiang/330822/polic"', "no [[agency]] has the id"),
        (', function = "F02"', "", "context: expected 'function'"),
        ('function = "F02"', 'function = "F02", mode = "card"', "context: did not expect the name 'mode'"),
        ('status = "suspended"', 'status = "suspendet"', "expected 'status' of valid"),
        ("sealed = true", 'sealed = "yes"', "resource: expected 'sealed' to be Bool"),
        ('fields = ["status"', "fields = [true", "expected 'fields' to be Set<String>"),
        ('recipient = "jiangxi"', "recipient = 36", "context: expected 'recipient' to be Province"),
        ('nodeRealm = "demo", ', "", "context: expected 'nodeRealm'"),
        ('nodeRealm = "demo", ', 'nodeReam = "demo", ', "defaults: did not expect the name 'nodeReam'"),
        ("status = [", "statuss = [", "words: did not expect the name 'statuss'"),
        ("[[case]]", "[[cases]]", "did not expect the name 'cases'"),
        ("[[case]]", "[[case]", "expected TOML 1.0"),
    ],
)
def test_case_table_with_a_typo_says_what_is_wrong(find, put, told):
    """A typo in a case fails with a sentence that names it, and is never skipped."""
    text = (ROOT / "policies" / "cases" / "permits.toml").read_text()
    assert find in text

    with pytest.raises(MalformedError) as caught:
        parse_cases(text.replace(find, put, 1), BOOK)

    assert told in caught.value.message


@pytest.mark.parametrize(
    ("find", "put", "told"),
    [
        ('action = "lookup.search"', 'action = "lookup.serach"', "no such action: 'lookup.serach'"),
        ("resource = { province", "resorce = { province", "expected 'resource'"),
        ('resource = { province = "zhejiang" }', "resource = {}", "resource: expected 'province'"),
        (
            'action = "lookup.case"',
            'action = "lookup.case"\ncontext.fields = ["status"]',
            "context: did not expect the name 'fields'",
        ),
        ('who = "jiangxi/361123/police"', 'who = "jiangxi/361123/polic"', "no [[agency]] has the id"),
    ],
)
def test_lookup_table_with_a_typo_says_what_is_wrong(find, put, told):
    """A typo in a case of the look-up table fails with a sentence that names it, too."""
    text = (ROOT / "policies" / "cases" / "lookups.toml").read_text()
    assert find in text

    with pytest.raises(MalformedError) as caught:
        parse_cases(text.replace(find, put, 1), BOOK)

    assert told in caught.value.message


def test_search_releases_no_field():
    """Hit or no hit: a search hands over no field of a person."""
    searches = [case for case in CASES if case.request.action in {"lookup.search", "lookup.case"}]

    assert searches
    assert not any(decide_afresh(BOOK, case.request).fields for case in searches)


def test_fetch_never_releases_number_or_address_without_a_person():
    """Number and addresses are released by a person at the desk, and photo, ethnicity and the permit's name never."""
    fetches = [policy for policy in BOOK.policies.values() if policy.id.startswith("fetch-")]
    widest = [BOOK.policies[name].fields for name in ("fetch-identity", "fetch-vehicle", "fetch-enterprise")]

    assert fetches
    for policy in fetches:
        assert policy.by_desk or any(policy.fields <= fields for fields in widest)
        assert policy.by_desk or not policy.fields & {"citizen_number", "residence_address", "household_address"}
        assert not policy.fields & {"photo_digest", "ethnicity", "urn"}
        assert not policy.fields & {"plate", "permit", "representative_number"}


def test_desk_answers_only_look_ups():
    """Only a search or a fetch waits for a person; nothing else has a desk to wait at."""
    desk = [policy for policy in BOOK.policies.values() if policy.by_desk]

    assert {policy.id.partition("-")[0] for policy in desk} == {"search", "fetch"}
    assert {case.answer for case in CASES} >= {AnswerBy.DESK, AnswerBy.NODE}


def test_keeper_and_representative_are_released_to_investigations_only():
    """A vehicle's keeper and an enterprise's representative are persons: no other purpose learns who they are."""
    releasing = [policy for policy in BOOK.policies.values() if policy.fields & {"keeper", "legal_representative"}]

    assert {policy.id for policy in releasing if policy.id.startswith("fetch-")} == {
        "fetch-vehicle",
        "fetch-enterprise",
    }
    for case in (
        case for case in CASES if decide_afresh(BOOK, case.request).fields & {"keeper", "legal_representative"}
    ):
        assert case.request.action != "lookup.fetch" or INVESTIGATION in case.request.context


def _is_about(policy, case):
    kind = policy.tree.resource.entity_type
    return kind.basename == case.request.resource.ref.type


def _outcome(book, case):
    decision = decide_afresh(book, case.request)
    return decision.verdict, decision.policies, decision.fields


def _files_without(policy_id):
    files = policy_files()
    for name in [name for name in files if name.endswith(".cedar")]:
        parts = re.split(r'(?m)^(?=@id\(")', files[name].decode())
        files[name] = "".join(part for part in parts if not part.startswith(f'@id("{policy_id}")')).encode()
    return files
