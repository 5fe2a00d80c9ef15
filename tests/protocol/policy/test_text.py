from __future__ import annotations

import pytest

from federation.protocol.errors import MalformedError
from federation.protocol.policy import Effect
from federation.protocol.policy.text import MAX_POLICY_FILE_BYTES, parse_code, parse_policy_file
from tests.protocol.policy.books import DENY_SECRET, READ, READ_OFFICE


def parse(text: str):
    return parse_policy_file(text.encode(), name="policies/x.cedar")


def reason_of(text: str) -> str:
    with pytest.raises(MalformedError) as caught:
        parse(text)
    assert "policies/x.cedar" in caught.value.message
    return caught.value.reason


def test_parse_policy_file_keeps_what_the_author_wrote():
    """Id, effect, titles, basis, fields and the sentence of each clause are read from the annotations."""
    read, secret = parse(READ + DENY_SECRET)

    assert (read.id, read.effect, read.title_zh, read.basis) == ("read-open", Effect.PERMIT, "公开可读", "第一条")
    assert read.fields == {"name", "place"}
    assert [(said.zh, said.en, said.unless) for said in read.sentences] == [
        ("文件公开", "the paper is open", False),
        ("字段在内", "the fields are ours", False),
    ]
    assert (secret.effect, secret.fields) == (Effect.FORBID, frozenset())
    assert read.tree.id == "read-open"


def test_parse_policy_file_unless_is_told_apart():
    """An unless turns the sense of its sentence round, and the explanation must know."""
    (policy,) = parse(READ_OFFICE)

    assert [sentence.unless for sentence in policy.sentences] == [False, True]


@pytest.mark.parametrize("annotation", ['@title("公开可读")', '@title_en("Open papers are read")', '@basis("第一条")'])
def test_parse_policy_file_missing_annotation_is_refused(annotation):
    """Every policy has a title in both languages and its legal basis."""
    assert reason_of(READ.replace(annotation, "")) == "POLICY_ANNOTATION"


@pytest.mark.parametrize("empty", ['@basis("")', '@basis("  ")', "@basis"])
def test_parse_policy_file_empty_annotation_is_refused(empty):
    """An empty legal basis is none."""
    assert reason_of(READ.replace('@basis("第一条")', empty)) == "POLICY_ANNOTATION"


@pytest.mark.parametrize("typo", ['@feilds("name")', '@clause3("一|one")', '@clause0("一|one")'])
def test_parse_policy_file_unknown_annotation_is_refused(typo):
    """A misspelt annotation would silently say nothing."""
    assert reason_of(f"{typo} {READ}") == "POLICY_ANNOTATION"


@pytest.mark.parametrize(
    "bad_id",
    ["", '@id("")', '@id("Read")', '@id("read_open")', '@id("读")', '@id("default-deny")', f'@id("{"a" * 33}")'],
)
def test_parse_policy_file_bad_id_is_refused(bad_id):
    """An id is lower-case words with hyphens, at most 32 letters, and not one of the two that nobody owns."""
    assert reason_of(READ.replace('@id("read-open")', bad_id)) == "POLICY_ID"


def test_parse_policy_file_missing_sentence_is_refused():
    """Each when and unless has its sentence."""
    assert reason_of(READ.replace('@clause2("字段在内|the fields are ours")', "")) == "POLICY_SENTENCE"


@pytest.mark.parametrize("sentence", ["文件公开", "文件公开|", "|open", "文件|公开", "一|one|two"])
def test_parse_policy_file_sentence_in_one_language_is_refused(sentence):
    """A sentence is Chinese, a bar, and English."""
    assert reason_of(READ.replace("文件公开|the paper is open", sentence)) == "POLICY_SENTENCE"


@pytest.mark.parametrize("fields", ["name", "name,place,photo", "", "name, place", "name,name,place", "Name,place"])
def test_parse_policy_file_fields_other_than_checked_are_refused(fields):
    """The fields that a permit checks are exactly those that it releases."""
    assert reason_of(READ.replace('@fields("name,place")', f'@fields("{fields}")')) == "POLICY_FIELDS"


@pytest.mark.parametrize(
    "clause",
    [
        'unless { context has fields && context.fields.contains("photo") }',
        'when { if context has fields then ["name", "place"].containsAny(context.fields) else true }',
        'when { if context has fields then ["name", "place"].containsAll(context.fields) else false }',
        'when { context has fields && ["name", "place"].containsAll(context.fields) }',
        'when { { hidden: ["name", "place"].containsAll(context.fields) }.hidden }',
    ],
)
def test_parse_policy_file_fields_clause_of_another_form_is_refused(clause):
    """A clause about the fields asked for that cannot be compared with @fields is refused."""
    form = 'when { if context has fields then ["name", "place"].containsAll(context.fields) else true }'

    assert reason_of(READ.replace(form, clause)) == "POLICY_FIELDS"


def test_parse_policy_file_plain_fields_clause_is_taken():
    """Where the schema makes the fields required, the clause needs no guard."""
    form = 'if context has fields then ["name", "place"].containsAll(context.fields) else true'

    (policy,) = parse(READ.replace(form, '["place", "name"].containsAll(context.fields)'))

    assert policy.fields == {"name", "place"}


def test_parse_policy_file_forbid_with_fields_is_refused():
    """A forbid releases nothing."""
    assert reason_of(f'@fields("name") {DENY_SECRET.strip()}') == "POLICY_FIELDS"


def test_parse_policy_file_template_is_refused():
    """Every policy stands in the text: no slots to be filled later."""
    text = READ.replace("principal is Fed::Office", "principal == ?principal")

    assert reason_of(text) == "POLICY_TEMPLATE"


@pytest.mark.parametrize("text", ["permit", READ.replace(";", ""), READ.replace("permit (", "permitt ("), "@id('a')"])
def test_parse_policy_file_bad_syntax_is_refused(text):
    """What is no Cedar is refused as a whole."""
    assert reason_of(text) == "POLICY_SYNTAX"


@pytest.mark.parametrize(
    "text",
    [
        DENY_SECRET.replace('"secret"', '"s\u0435cret"'),
        DENY_SECRET.replace("resource.kind", "resource.k\u0456nd"),
        DENY_SECRET.replace("Fed::Paper", "Fed::P\u0430per"),
        DENY_SECRET.replace('"secret"', '"\uff53ecret"'),
    ],
    ids=["cyrillic in a string", "cyrillic in an attribute", "cyrillic in a type", "full-width letter"],
)
def test_parse_policy_file_look_alike_letter_is_refused(text):
    """A look-alike letter in a condition would never match, and the engine says nothing."""
    assert reason_of(text) == "POLICY_CHARACTER"


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\u2066", "\ufeff", "\x00", "\r", "\u2028"])
def test_parse_policy_file_invisible_sign_is_refused_even_in_a_comment(sign):
    """Text that shows otherwise than it runs is refused, wherever it stands."""
    assert reason_of(f"// note{sign}\n{READ}") == "POLICY_CHARACTER"


def test_parse_policy_file_chinese_comment_and_annotation_are_taken():
    """Comments and annotations are where Chinese belongs, a comment sign within a string included."""
    text = f'// 说明:"引号" @id("x")\n{READ.replace("第一条", "第一条 // 不是注释")}'

    (policy,) = parse(text)

    assert policy.basis == "第一条 // 不是注释"


def test_parse_code_hidden_letter_after_comment_sign_in_string_is_found():
    """A string that holds a comment sign does not hide the rest of its line."""
    with pytest.raises(MalformedError) as caught:
        parse_code('when { "//" == "a" && "\u0430" == "a" };'.encode(), name="x")

    assert caught.value.reason == "POLICY_CHARACTER"
    assert "line 1" in caught.value.message
    assert "CYRILLIC SMALL LETTER A" in caught.value.message


def test_parse_code_tells_the_line():
    """The author is told where to look."""
    with pytest.raises(MalformedError, match="line 3"):
        parse_code("// 一\n// 二\nentity Пaper;".encode(), name="x")


def test_parse_code_other_encoding_and_size_are_refused():
    """Files are UTF-8 and of a size that a person can review."""
    with pytest.raises(MalformedError, match="POLICY_UTF8"):
        parse_code("权限".encode("gb18030"), name="x")
    with pytest.raises(MalformedError, match="POLICY_SIZE"):
        parse_code(b" " * (MAX_POLICY_FILE_BYTES + 1), name="x")


def test_parse_policy_file_answer_by_desk_is_kept():
    """A permit may say that a person answers; without a word the node answers by itself."""
    by_desk, by_node = (
        parse_policy_file(text.encode(), name="p.cedar")[0]
        for text in (READ.replace("@fields", '@answer("desk") @fields'), READ)
    )

    assert (by_desk.by_desk, by_node.by_desk) == (True, False)


@pytest.mark.parametrize("answer", ['@answer("machine")', '@answer("")', "@answer"])
def test_parse_policy_file_unknown_answer_is_refused(answer):
    """A word that nobody knows would be answered by nobody, or by the node."""
    with pytest.raises(MalformedError, match="POLICY_ANSWER"):
        parse_policy_file(READ.replace("@fields", f"{answer} @fields").encode(), name="p.cedar")


def test_parse_policy_file_answer_on_a_forbid_is_refused():
    """What is forbidden nobody answers."""
    text = DENY_SECRET.replace("@basis", '@answer("desk") @basis')

    with pytest.raises(MalformedError, match="POLICY_ANSWER"):
        parse_policy_file(text.encode(), name="p.cedar")
