from __future__ import annotations

import hashlib

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Entity, EntityRef, Grounds, decide, decide_afresh, load_policy_book
from tests.protocol.policy.books import DENY_SECRET, READ, READ_OFFICE, SCHEMA, book_of, office, paper, question

BOOK = book_of(READ + READ_OFFICE, DENY_SECRET)
ERRS = """
@id("deny-other-staff") @title("他人") @title_en("Others") @basis("第四条") @clause1("他人|others")
forbid (principal, action, resource is Fed::Paper)
when { resource.owner.kind == "court" };
"""


def refusal(decision: Decision) -> tuple[Verdict, Grounds, tuple[str, ...], frozenset[str]]:
    return decision.verdict, decision.reason, decision.policies, decision.fields


def test_decide_permitted_names_policies_and_releases_their_fields():
    """An allowed request names every permit that allowed it, sorted, and releases the union of their fields."""
    decision = decide(BOOK, question())

    assert decision.allowed
    assert decision.policies == ("read-open", "read-police")
    assert decision.fields == {"name", "place", "number"}
    assert decision.reason == "permitted"
    assert (decision.title_zh, decision.title_en) == ("公开可读；公安可读", "Open papers are read; Police read")
    assert decision.errors == ()


def test_decide_fields_asked_for_cut_the_release():
    """No field is released that was not asked for."""
    decision = decide(BOOK, question(fields=frozenset({"name"})))

    assert decision.fields == {"name"}


def test_decide_beyond_the_fields_of_one_permit_leaves_the_other():
    """A permit that checks the fields falls away when too much is asked; the other releases only its own."""
    decision = decide(BOOK, question(fields=frozenset({"name", "photo"})))

    assert decision.policies == ("read-police",)
    assert decision.fields == {"name"}


def test_decide_nobody_permits_is_denied_by_default():
    """What no policy allows is refused, and the leaf says that nobody decided."""
    decision = decide(BOOK, question(principal=office("court"), resource=paper(is_open=False)))

    assert refusal(decision) == (Verdict.REFUSED, Grounds.DEFAULT_DENY, ("default-deny",), frozenset())
    assert decision.title_zh
    assert decision.title_en


def test_decide_action_without_policies_is_denied_by_default():
    """An action of the schema that no policy speaks of is refused."""
    assert decide(BOOK, question(action="paper.write")).reason is Grounds.DEFAULT_DENY


def test_decide_one_forbid_outweighs_every_permit():
    """A forbid that applies decides, whatever permits say."""
    decision = decide(BOOK, question(resource=paper(kind="secret")))

    assert refusal(decision) == (Verdict.REFUSED, Grounds.FORBIDDEN, ("deny-secret",), frozenset())


def test_decide_forbid_that_errors_is_refused():
    """Cedar skips a policy that errors: a broken forbid beside an open permit must not let everything through."""
    book = book_of(READ, ERRS)
    absent = paper()._replace(attrs=(("open", True), ("owner", EntityRef("Office", "nobody"))))

    decision = decide(book, question(resource=absent))

    assert refusal(decision) == (Verdict.REFUSED, Grounds.POLICY_ERROR, ("policy-error",), frozenset())
    assert "nobody" in decision.errors[0]
    assert decide(book, question()).allowed


def test_cedar_alone_skips_a_forbid_that_errors():
    """The engine's own answer to that request is Allow: the reason why we look at its errors."""
    result = cedarpy.is_authorized(
        {
            "principal": 'Fed::Office::"o"',
            "action": 'Fed::Action::"paper.read"',
            "resource": 'Fed::Paper::"p"',
            "context": {},
        },
        "permit (principal, action, resource); forbid (principal, action, resource) when { resource.open };",
        "[]",
    )

    assert result.decision is cedarpy.Decision.Allow
    assert result.diagnostics.errors


@pytest.mark.parametrize(
    "request_",
    [
        question(action="paper.burn"),
        replace(question(), context=()),
        replace(question(), context=(("purpose", "duty"), ("colour", "red"))),
        replace(question(), context=(("purpose", True),)),
        replace(question(), context=(("purpose", "duty"), ("purpose", "curiosity"))),
        question(principal=Entity(EntityRef("Person", "x"))),
        question(principal=paper()),
        question(principal=Entity(EntityRef("Office", "o"), (("kind", "police"),))),
        question(resource=paper()._replace(attrs=(("open", True),))),
        question(resource=paper()._replace(attrs=(("open", "yes"), ("owner", EntityRef("Office", "o"))))),
        question(resource=paper()._replace(attrs=(*paper().attrs, ("colour", "red")))),
        question(resource=paper()._replace(attrs=(*paper().attrs, ("open", False)))),
        question(resource=paper()._replace(parents=(EntityRef("Group", "g"),))),
        question(resource=office("court")),
        replace(question(), others=(office("court"),)),
    ],
    ids=[
        "unknown action",
        "context key missing",
        "context key unknown",
        "context value of another type",
        "context key twice",
        "unknown principal type",
        "principal of another type",
        "principal attribute missing",
        "resource attribute missing",
        "resource attribute of another type",
        "resource attribute unknown",
        "resource attribute twice",
        "parent that the schema does not allow",
        "resource of another type",
        "one name for two different entities",
    ],
)
def test_decide_request_outside_the_schema_is_refused(request_):
    """The schema is always on: what does not fit cannot be judged, and what cannot be judged is refused."""
    decision = decide(BOOK, request_)

    assert refusal(decision) == (Verdict.REFUSED, Grounds.POLICY_ERROR, ("policy-error",), frozenset())
    assert decision.errors


def test_decide_groups_come_from_the_other_entities():
    """Membership over two steps holds when the entities between are given."""
    text = """
    @id("read-group") @title("组") @title_en("Group") @basis("第五条") @clause1("组内|in the group")
    permit (principal is Fed::Office, action == Fed::Action::"paper.read", resource is Fed::Paper)
    when { principal in Fed::Group::"all" };
    """
    book = book_of(text, schema=SCHEMA.replace("entity Group;", "entity Group in [Group];"))
    inner, outer = EntityRef("Group", "some"), EntityRef("Group", "all")
    asked = question(principal=office(parents=(inner,)))

    assert not decide(book, asked).allowed
    assert decide(book, replace(asked, others=(Entity(inner, (), (outer,)),))).allowed


@given(
    kind=st.sampled_from(["police", "court"]),
    is_open=st.booleans(),
    secrecy=st.sampled_from([None, "secret", "plain"]),
    purpose=st.sampled_from(["duty", "curiosity"]),
    fields=st.none() | st.frozensets(st.sampled_from(["name", "place", "number", "photo"])),
    action=st.sampled_from(["paper.read", "paper.write", "paper.burn"]),
)
def test_decide_remembered_equals_afresh(kind, is_open, secrecy, purpose, fields, action):
    """A remembered decision is the decision: policy depends on nothing but its text and the request."""
    asked = question(
        action=action,
        principal=office(kind),
        resource=paper(is_open=is_open, kind=secrecy),
        purpose=purpose,
        fields=fields,
    )

    decision = decide(BOOK, asked)

    assert decision == decide(BOOK, asked) == decide_afresh(BOOK, asked)
    assert decision == decide_afresh(book_of(READ + READ_OFFICE, DENY_SECRET), asked)
    assert decision.allowed or not decision.fields
    assert decision.fields <= (fields if fields is not None else {"name", "place", "number"})


def test_decide_remembers_values_not_objects():
    """An equal request built anew is answered from memory with the very same decision."""
    assert decide(BOOK, question()) is decide(BOOK, question())


def test_load_policy_book_digest_is_that_of_sha256sum():
    """The digest can be recomputed with sha256sum over the files, sorted by name, and again over its output."""
    files = {"policies/schema.cedarschema": SCHEMA.encode(), "policies/b.cedar": READ.encode(), "policies/a.cedar": b""}

    book = load_policy_book(files)

    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    assert book.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert book.file_digests == {name: hashlib.sha256(files[name]).hexdigest() for name in files}


def test_load_policy_book_digest_follows_every_byte():
    """Another comment is another text."""
    assert book_of(READ).digest != book_of(READ + "\n").digest
    assert book_of(READ).digest != book_of(READ, schema=SCHEMA + "\n").digest


def test_load_policy_book_of_the_same_files_is_the_same_book():
    """They are parsed once; another schema over the same policies is another book, and what it refuses stays refused."""
    blind = SCHEMA.replace("open", "shut")

    assert book_of(READ) is book_of(READ)
    assert book_of(READ) is not book_of(READ, schema=SCHEMA + "\n")
    for _ in range(2):
        with pytest.raises(MalformedError):
            book_of(READ, schema=blind)


def test_load_policy_book_reads_only_its_own_files():
    """Clocks, calendars and case tables lie in the same folder and are not policies."""
    files = {"policies/schema.cedarschema": SCHEMA.encode(), "policies/a.cedar": READ.encode()}

    book = load_policy_book({**files, "policies/clocks.toml": b"\xff", "other/b.cedar": b"\xff"})

    assert set(book.policies) == {"read-open"}
    assert book.digest == load_policy_book(files).digest


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"policies/a.cedar": READ}, "POLICY_SCHEMA"),
        ({"policies/schema.cedarschema": "namespace Fed { entity }"}, "POLICY_SCHEMA"),
        ({"policies/schema.cedarschema": "entity Ра;"}, "POLICY_CHARACTER"),
        ({"policies/schema.cedarschema": SCHEMA}, "POLICY_NONE"),
        (
            {"policies/schema.cedarschema": SCHEMA, "policies/a.cedar": READ, "policies/b.cedar": READ},
            "POLICY_DUPLICATE",
        ),
        ({"policies/schema.cedarschema": SCHEMA, "policies/a.cedar": READ * 2}, "POLICY_DUPLICATE"),
        (
            {"policies/schema.cedarschema": SCHEMA, "policies/a.cedar": READ.replace("resource.open", "resource.opne")},
            "POLICY_TYPE",
        ),
        (
            {"policies/schema.cedarschema": SCHEMA, "policies/a.cedar": READ.replace("paper.read", "paper.raed")},
            "POLICY_TYPE",
        ),
        (
            {"policies/schema.cedarschema": SCHEMA, "policies/a.cedar": READ.replace("Fed::Paper", "Fed::Papre")},
            "POLICY_TYPE",
        ),
        ({"policies/schema.cedarschema": SCHEMA, "policies/a.cedar": "permit"}, "POLICY_SYNTAX"),
    ],
)
def test_load_policy_book_faulty_files_are_refused(files, reason):
    """A policy set that does not fit together is refused as a whole, naming the file."""
    with pytest.raises(MalformedError) as caught:
        load_policy_book({name: text.encode() for name, text in files.items()})

    assert caught.value.reason == reason
    assert "policies/" in caught.value.message


def test_load_policy_book_type_error_names_the_policy():
    """The author is told which policy does not fit the schema."""
    with pytest.raises(MalformedError, match=r"read-open: .*opne"):
        book_of(READ.replace("resource.open", "resource.opne"))


def test_decide_allowed_only_by_permits_with_a_desk_waits_for_a_person():
    """Each deciding permit must say so: one that lets the node answer is enough for the node to answer."""
    desk = READ.replace("@fields", '@answer("desk") @fields')
    closed_to_police = question(principal=office("court"))

    assert decide(book_of(desk), question()).by_desk
    assert decide(book_of(desk, READ_OFFICE), closed_to_police).by_desk
    assert not decide(book_of(desk, READ_OFFICE), question()).by_desk
    assert not decide(book_of(READ), question()).by_desk


def test_decide_refused_never_waits_for_a_person():
    """A refusal is given at once."""
    desk = READ.replace("@fields", '@answer("desk") @fields')

    assert not decide(book_of(desk, DENY_SECRET), question(resource=paper(kind="secret"))).by_desk
    assert not decide(book_of(desk), question(resource=paper(is_open=False))).by_desk
