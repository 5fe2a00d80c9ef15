"""Policy files as their authors wrote them: each policy with its id, titles, legal basis and one sentence a clause.

Rules kept: a missing or unknown annotation and a clause without its sentence are refused; code is ASCII and no file
holds invisible characters (a Cyrillic letter in a condition looks right and never matches); the fields that a permit
checks are those that it releases; no templates. `@answer("desk")` on a permit: a person must answer what it allows.
Source: Cedar policy language; Unicode TR 36 on look-alike and invisible characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

from msgspec import Struct

from federation.protocol.errors import MalformedError
from federation.protocol.policy import cedar

MAX_POLICY_FILE_BYTES: Final = 256 * 1024
MAX_FILES: Final = 32
"""Files whose policies are kept parsed: those of a few agreement versions."""
DEFAULT_DENY: Final = "default-deny"
POLICY_ERROR: Final = "policy-error"
_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_MAX_ID_LENGTH: Final = 32
_FIELDS: Final = re.compile(r"[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*", re.ASCII)
_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_ASIDE: Final = re.compile(rf"(?P<aside>//[^\n]*|@\w+\s*\(\s*{_STRING}\s*\))|{_STRING}", re.DOTALL)
_REQUIRED: Final = ("id", "title", "title_en", "basis")
_OPTIONAL: Final = ("fields", "answer")
_BY_DESK: Final = "desk"
_CLAUSE: Final = "clause"


class Effect(StrEnum):
    """One `forbid` outweighs every `permit`."""

    PERMIT = "permit"
    FORBID = "forbid"


class Sentence(Struct, frozen=True, kw_only=True):
    """One clause's condition in Chinese and in English; `unless` turns its sense round."""

    zh: str
    en: str
    unless: bool


class PolicyText(Struct, frozen=True, kw_only=True):
    """One policy as written: `fields` it releases, its parsed `tree`; `by_desk`: a person answers what it permits."""

    id: str
    effect: Effect
    title_zh: str
    title_en: str
    basis: str
    fields: frozenset[str]
    by_desk: bool
    sentences: tuple[Sentence, ...]
    tree: cedar.pst.Template


@lru_cache(maxsize=MAX_FILES)
def parse_policy_file(content: bytes, *, name: str) -> tuple[PolicyText, ...]:
    """Parses one file of Cedar policies, in the order written; refuses POLICY_*, naming file and policy."""
    text = parse_code(content, name=name)
    try:
        tree = cedar.policies_to_pst(text)
    except ValueError as error:
        raise MalformedError("POLICY_SYNTAX", f"{name}: expected Cedar policies: {error}", file=name) from error
    if tree.templates:
        raise MalformedError("POLICY_TEMPLATE", f"{name}: expected no templates (?principal, ?resource)", file=name)
    return tuple(_parse_policy(policy, name=name) for policy in tree.static_policies.values())


def parse_code(content: bytes, *, name: str) -> str:
    """Returns a Cedar file's text with nothing hidden in it; refuses POLICY_SIZE, POLICY_UTF8, POLICY_CHARACTER."""
    if len(content) > MAX_POLICY_FILE_BYTES:
        raise MalformedError("POLICY_SIZE", f"{name}: expected at most {MAX_POLICY_FILE_BYTES} bytes", file=name)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("POLICY_UTF8", f"{name}: expected UTF-8", file=name) from error
    code = _ASIDE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]) if found["aside"] else found[0], text)
    for number, (line, whole) in enumerate(zip(code.split("\n"), text.split("\n"), strict=True), start=1):
        strange = [sign for sign in line if not sign.isascii()]
        strange += [sign for sign in whole if unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp"} and sign != "\t"]
        if strange:
            found = f"U+{ord(strange[0]):04X} {unicodedata.name(strange[0], '')}".rstrip()
            raise MalformedError("POLICY_CHARACTER", f"{name} line {number}: did not expect {found} here", file=name)
    return text


def _parse_policy(policy: cedar.pst.Template, *, name: str) -> PolicyText:
    annotations = policy.annotations
    policy_id = annotations.get("id", "")
    if not _ID.fullmatch(policy_id) or len(policy_id) > _MAX_ID_LENGTH or policy_id in {DEFAULT_DENY, POLICY_ERROR}:
        said = f"got {policy_id!r:.60}" if policy_id else "got none"
        raise MalformedError(
            "POLICY_ID", f"{name}: expected @id of lower-case words with hyphens, at most 32 letters, {said}", file=name
        )
    where = f"{name}, policy {policy_id}"
    _expect_annotations(annotations, len(policy.clauses), where=where)
    parsed = PolicyText(
        id=policy_id,
        effect=Effect(policy.effect),
        title_zh=annotations["title"],
        title_en=annotations["title_en"],
        basis=annotations["basis"],
        fields=_parse_fields(annotations.get("fields"), where=where),
        by_desk=_parse_answer(annotations.get("answer"), Effect(policy.effect), where=where),
        sentences=tuple(
            _parse_sentence(annotations[f"{_CLAUSE}{number}"], clause, where=f"{where}, clause {number}")
            for number, clause in enumerate(policy.clauses, start=1)
        ),
        tree=cedar.pst.Template(
            id=policy_id,
            effect=policy.effect,
            principal=policy.principal,
            action=policy.action,
            resource=policy.resource,
            clauses=policy.clauses,
            annotations=annotations,
        ),
    )
    _verify_fields(parsed, where=where)
    return parsed


def _expect_annotations(annotations: Mapping[str, str], clauses: int, *, where: str) -> None:
    for missing in (wanted for wanted in _REQUIRED if not annotations.get(wanted, "").strip()):
        raise MalformedError("POLICY_ANNOTATION", f'{where}: expected @{missing}("...")')
    sentences = {f"{_CLAUSE}{number}" for number in range(1, clauses + 1)}
    for lacking in sorted(sentences - annotations.keys()):
        raise MalformedError("POLICY_SENTENCE", f'{where}: expected @{lacking}("中文|English") for that when or unless')
    for unknown in sorted(annotations.keys() - sentences - {*_REQUIRED, *_OPTIONAL}):
        raise MalformedError("POLICY_ANNOTATION", f"{where}: did not expect @{unknown}")


def _parse_sentence(text: str, clause: cedar.pst.Clause, *, where: str) -> Sentence:
    zh, bar, en = (part.strip() for part in text.partition("|"))
    if not bar or not zh or not en or "|" in en or not en.isascii():
        raise MalformedError("POLICY_SENTENCE", f"{where}: expected '中文|English', got {text!r:.80}")
    return Sentence(zh=zh, en=en, unless=isinstance(clause, cedar.pst.Unless))


def _parse_fields(text: str | None, *, where: str) -> frozenset[str]:
    if text is None:
        return frozenset()
    names = text.split(",")
    if not _FIELDS.fullmatch(text) or len(set(names)) != len(names):
        raise MalformedError("POLICY_FIELDS", f"{where}: expected @fields('one,two') each once, got {text!r:.80}")
    return frozenset(names)


def _parse_answer(text: str | None, effect: Effect, *, where: str) -> bool:
    if text is not None and (text != _BY_DESK or effect is Effect.FORBID):
        raise MalformedError(
            "POLICY_ANSWER", f'{where}: expected @answer("{_BY_DESK}") and on a permit, got {text!r:.80}'
        )
    return text is not None


def _verify_fields(policy: PolicyText, *, where: str) -> None:
    """Refuses a forbid with @fields, and a clause about the fields asked for that is not exactly the @fields list."""
    if policy.effect is Effect.FORBID and policy.fields:
        raise MalformedError("POLICY_FIELDS", f"{where}: a forbid releases nothing, expected no @fields")
    for clause in policy.tree.clauses:
        if policy.effect is Effect.PERMIT and _asked() in _walk(clause) and _fields_checked(clause) != policy.fields:
            raise MalformedError(
                "POLICY_FIELDS",
                f"{where}: expected the clause about context.fields as when {{ [...].containsAll(context.fields) }}, "
                "or when { if context has fields then [...].containsAll(context.fields) else true }, "
                "with the same names as @fields",
            )


@cache
def _asked() -> cedar.pst.GetAttr:
    return cedar.pst.GetAttr(base=cedar.pst.Var(name="context"), attr="fields")


@cache
def _asks() -> cedar.pst.HasAttr:
    return cedar.pst.HasAttr(base=cedar.pst.Var(name="context"), attrs=("fields",))


def _fields_checked(clause: cedar.pst.Clause) -> frozenset[str] | None:
    pst, expr = cedar.pst, clause.expr
    if isinstance(clause, pst.Unless):
        return None
    if isinstance(expr, pst.IfThenElse) and expr.cond == _asks() and expr.else_expr == pst.BoolLit(value=True):
        expr = expr.then_expr
    match expr:
        case pst.BinaryOp(op="contains_all", left=pst.Set(elements=elements), right=right) if right == _asked():
            return frozenset(element.value for element in elements if isinstance(element, pst.StringLit))
        case _:
            return None


def _walk(node: object) -> Iterator[object]:
    yield node
    if isinstance(node, tuple):
        for child in node:
            yield from _walk(child)
    elif isinstance(node, Mapping):
        yield from _walk(tuple(node.values()))
    elif is_dataclass(node):
        yield from _walk(tuple(getattr(node, field.name) for field in fields(node)))
