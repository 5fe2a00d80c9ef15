from __future__ import annotations

from federation.protocol.form import replace
from federation.protocol.policy import EntityRef, decide
from federation.protocol.policy.explain import explain, format_explanation
from tests.protocol.policy.books import DENY_SECRET, READ, READ_OFFICE, book_of, office, paper, question

BOOK = book_of(READ + READ_OFFICE, DENY_SECRET)


def met(finding) -> list[bool]:
    return [clause.met for clause in finding.clauses]


def test_explain_allowed_shows_the_policies_and_no_remedy():
    """An allowed request needs no remedy; every permit is shown with what held."""
    explanation = explain(BOOK, question())

    assert explanation.decision == decide(BOOK, question())
    assert [(found.id, found.applies, met(found)) for found in explanation.permits] == [
        ("read-open", True, [True, True]),
        ("read-police", True, [True, True]),
    ]
    assert explanation.forbids == ()
    assert explanation.remedy_zh == explanation.remedy_en == ()


def test_explain_near_miss_shows_the_clause_and_the_way():
    """A refusal says which clauses failed, nearest permit first, and what would make it lawful, in both languages."""
    explanation = explain(BOOK, question(principal=office("court"), resource=paper(is_open=False), purpose="curiosity"))

    assert [(found.id, met(found)) for found in explanation.permits] == [
        ("read-open", [False, True]),
        ("read-police", [False, False]),
    ]
    assert explanation.remedy_zh == ("依“公开可读”，须：文件公开",)
    assert explanation.remedy_en == ("by 'Open papers are read', must be so: the paper is open",)


def test_explain_unless_is_turned_round():
    """What an unless speaks of must not be so."""
    explanation = explain(BOOK, question(resource=paper(is_open=False), purpose="curiosity"))

    assert explanation.remedy_en == (
        "by 'Open papers are read', must be so: the paper is open",
        "by 'Police read', must not be: not out of curiosity",
    )


def test_explain_fields_beyond_are_named():
    """Where too much was asked for, the fields too many are named."""
    explanation = explain(BOOK, question(principal=office("court"), fields=frozenset({"name", "photo", "number"})))

    nearest = explanation.permits[0]
    assert (nearest.id, nearest.beyond) == ("read-open", ("number", "photo"))
    assert explanation.remedy_en[0].endswith("must be so: the fields are ours; do not ask for: number, photo")
    assert "不索取：number、photo" in explanation.remedy_zh[0]


def test_explain_forbid_is_shown_with_its_title():
    """A refusal by a forbid names it in words, and says what must not be."""
    explanation = explain(BOOK, question(resource=paper(kind="secret")))

    assert [(found.id, found.title_zh, found.applies) for found in explanation.forbids] == [
        ("deny-secret", "密件不给", True)
    ]
    assert explanation.remedy_zh == ("不得：密件",)
    assert explanation.remedy_en == ("must not be: the paper is secret",)


def test_explain_action_nobody_speaks_of_says_so():
    """Where no policy speaks of an action there is no clause to meet."""
    explanation = explain(BOOK, question(action="paper.write"))

    assert explanation.permits == ()
    assert explanation.remedy_en == ("No policy speaks of this action for such a principal",)


def test_explain_broken_request_sends_to_the_operator():
    """A request that cannot be judged has no lawful form to propose."""
    explanation = explain(BOOK, question(action="paper.burn"))

    assert explanation.permits == explanation.forbids == ()
    assert explanation.decision.policies == ("policy-error",)
    assert "operator" in explanation.remedy_en[0]
    assert "管理员" in explanation.remedy_zh[0]


def test_explain_clause_that_errors_counts_as_not_met():
    """A clause that cannot be evaluated is no clause that holds."""
    text = READ.replace("{ resource.open }", '{ resource.owner.kind == "police" }')
    absent = paper()._replace(attrs=(("open", True), ("owner", EntityRef("Office", "nobody"))))

    explanation = explain(book_of(text), question(resource=absent))

    assert met(explanation.permits[0]) == [False, True]
    assert explanation.decision.policies == ("policy-error",)


def test_explain_scope_that_does_not_fit_is_left_out():
    """A policy for other principals says nothing about this one."""
    text = READ.replace("principal is Fed::Office", 'principal == Fed::Office::"other"')

    assert explain(book_of(text), question()).permits == ()


def test_explain_never_changes_the_decision_and_repeats_itself():
    """The same request gets the same decision and the same words."""
    asked = question(principal=office("court"), resource=paper(is_open=False))

    assert explain(BOOK, asked) == explain(book_of(READ + READ_OFFICE, DENY_SECRET), asked)
    assert explain(BOOK, asked).decision == decide(BOOK, asked)
    assert explain(BOOK, replace(asked)) == explain(BOOK, asked)


def test_format_explanation_speaks_both_languages():
    """The text starts with the verdict, marks each clause, and ends with the way to a lawful request."""
    lines = format_explanation(explain(BOOK, question(resource=paper(is_open=False, kind="secret")))).split("\n")

    assert lines == [
        "拒绝：密件不给 | refused: Secret papers stay [deny-secret]",
        "禁止：密件不给 | forbid: Secret papers stay [deny-secret; 第三条]",
        "  + 密件 | the paper is secret",
        "许可：公安可读 | permit: Police read [read-police; 第二条]",
        "  + 公安 | a police office",
        "  + 除非 不是闲看 | unless not out of curiosity",
        "许可：公开可读 | permit: Open papers are read [read-open; 第一条]",
        "  - 文件公开 | the paper is open",
        "  + 字段在内 | the fields are ours",
        "=> 不得：密件 | must not be: the paper is secret",
    ]


def test_format_explanation_allowed_has_no_remedy():
    """An allowed request ends with its permits."""
    text = format_explanation(explain(BOOK, question()))

    assert text.startswith("允许：公开可读；公安可读 | allowed: ")
    assert "=>" not in text
