"""The policy book: every Cedar policy of one agreement version, and the decision it gives.

Rules kept: nothing is allowed unless a policy says so; a decision names the deciding policies by their own `@id`; what
cannot be judged is refused as `policy-error`. A decision depends on nothing but the policy text, the schema and the
request, so a remembered decision is the decision (`decide` equals `decide_afresh`).
Trusts the files, which come out of a verified agreement, and nothing in a request. Source: DESIGN sections 3, 8 and 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from federation.protocol.errors import MalformedError
from federation.protocol.leaf import Verdict
from federation.protocol.policy import cedar
from federation.protocol.policy.engine import Engine, PolicyRequest
from federation.protocol.policy.text import (
    DEFAULT_DENY,
    MAX_FILES,
    POLICY_ERROR,
    PolicyText,
    parse_code,
    parse_policy_file,
)

SCHEMA_FILE: Final = "policies/schema.cedarschema"
MAX_REMEMBERED: Final = 8192
"""Decisions remembered by one book, a few kB each."""
MAX_BOOKS: Final = 2
"""Books kept: the version in force and the one before or after it."""


class Grounds(StrEnum):
    PERMITTED = "permitted"
    FORBIDDEN = "forbidden"
    DEFAULT_DENY = DEFAULT_DENY
    POLICY_ERROR = POLICY_ERROR


_NOBODY: Final = {
    Grounds.DEFAULT_DENY: ("没有规则允许此事（默认拒绝）", "No policy allows this (denied by default)"),
    Grounds.POLICY_ERROR: ("规则或请求有误，无法判断，按拒绝处理", "Could not be judged, so it is refused"),
}


class Decision(Struct, frozen=True, kw_only=True):
    """The answer of policy, as logged: verdict, deciding policies (sorted ids), and the fields that may be handed over.

    `fields` is the union of the deciding permits' `@fields`, cut down to those asked for when the request's context
    names `fields`; it is empty for a refusal. `errors` are the engine's words for the operator, empty unless
    `policy-error`. `by_desk`: allowed, and a person must answer, since every deciding permit says so.
    """

    verdict: Verdict
    policies: tuple[str, ...]
    fields: frozenset[str]
    reason: Grounds
    title_zh: str
    title_en: str
    errors: tuple[str, ...] = ()
    by_desk: bool = False

    @property
    def allowed(self) -> bool:
        return self.verdict is Verdict.ALLOWED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyBook:
    """The policies of one agreement version, parsed and type-checked once.

    `file_digests` are hex SHA-256 by file name; `digest` is the SHA-256 of the lines `<digest>  <name>` in the order of
    names, so `sha256sum` over the files, sorted and summed again, gives the same.
    """

    policies: Mapping[str, PolicyText]
    file_digests: Mapping[str, str]
    digest: str
    engine: Engine = field(repr=False)
    schema: cedar.Schema = field(repr=False)
    remembered: Callable[[PolicyRequest], Decision] = field(repr=False)


def load_policy_book(files: Mapping[str, bytes]) -> PolicyBook:
    """Loads the schema and every `policies/*.cedar`; refuses POLICY_SCHEMA, _TYPE, _DUPLICATE, _NONE, as `text`.

    The same files give the same book, and a file that two agreement versions share is parsed once.
    """
    if SCHEMA_FILE not in files:
        raise MalformedError("POLICY_SCHEMA", f"expected a file {SCHEMA_FILE}")
    names = sorted(name for name in files if name.startswith("policies/") and name.endswith(".cedar"))
    return _load(files[SCHEMA_FILE], tuple((name, files[name]) for name in names))


@lru_cache(maxsize=MAX_BOOKS)
def _load(vocabulary: bytes, written: tuple[tuple[str, bytes], ...]) -> PolicyBook:
    schema = _parse_schema(vocabulary)
    policies: dict[str, PolicyText] = {}
    for name, content in written:
        for policy in parse_policy_file(content, name=name):
            if policy.id in policies:
                raise MalformedError("POLICY_DUPLICATE", f"{name}: expected a new @id, got {policy.id!r} again")
            policies[policy.id] = policy
        _verify_types(content, schema, name=name)
    if not policies:
        raise MalformedError("POLICY_NONE", "expected at least one policy in policies/*.cedar")
    contents = {SCHEMA_FILE: vocabulary, **dict(written)}
    digests = {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)}
    lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    texts = MappingProxyType(policies)
    engine = Engine(schema, {name: policy.tree for name, policy in policies.items()})
    return PolicyBook(
        policies=texts,
        file_digests=MappingProxyType(digests),
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        engine=engine,
        schema=schema,
        remembered=lru_cache(maxsize=MAX_REMEMBERED)(partial(_judge, texts, engine)),
    )


def decide(book: PolicyBook, request: PolicyRequest) -> Decision:
    """Decides a request: allowed only when a policy permits, none forbids and nothing went wrong in between."""
    return book.remembered(request)


def decide_afresh(book: PolicyBook, request: PolicyRequest) -> Decision:
    """Decides a request without looking at, or into, what is remembered; for auditors and tests."""
    return _judge(book.policies, book.engine, request)


def join_decisions(decisions: Sequence[Decision]) -> Decision:
    """Returns one decision for several items, naming every deciding policy: refused if any is, or if there is none."""
    refused = [decision for decision in decisions if not decision.allowed]
    deciding = refused or list(decisions)
    return Decision(
        verdict=Verdict.REFUSED if refused or not decisions else Verdict.ALLOWED,
        policies=tuple(sorted({name for decision in deciding for name in decision.policies})),
        fields=frozenset().union(*(decision.fields for decision in deciding)) if deciding else frozenset(),
        reason=deciding[0].reason if deciding else Grounds.DEFAULT_DENY,
        title_zh="；".join(dict.fromkeys(decision.title_zh for decision in deciding)),
        title_en="; ".join(dict.fromkeys(decision.title_en for decision in deciding)),
    )


def _judge(policies: Mapping[str, PolicyText], engine: Engine, request: PolicyRequest) -> Decision:
    answer = engine.ask(request)
    if answer.errors:
        return _refused_by_nobody(Grounds.POLICY_ERROR, answer.errors)
    if not answer.policies:
        return _refused_by_nobody(Grounds.DEFAULT_DENY)
    deciding = [policies[name] for name in answer.policies]
    released = frozenset[str]().union(*(policy.fields for policy in deciding)) if answer.allowed else frozenset()
    asked = dict(request.context).get("fields")
    return Decision(
        verdict=Verdict.ALLOWED if answer.allowed else Verdict.REFUSED,
        policies=answer.policies,
        fields=released & asked if isinstance(asked, frozenset) else released,
        reason=Grounds.PERMITTED if answer.allowed else Grounds.FORBIDDEN,
        title_zh="；".join(policy.title_zh for policy in deciding),
        title_en="; ".join(policy.title_en for policy in deciding),
        by_desk=answer.allowed and all(policy.by_desk for policy in deciding),
    )


def _refused_by_nobody(grounds: Grounds, errors: tuple[str, ...] = ()) -> Decision:
    title_zh, title_en = _NOBODY[grounds]
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(grounds.value,),
        fields=frozenset(),
        reason=grounds,
        title_zh=title_zh,
        title_en=title_en,
        errors=errors,
    )


@lru_cache(maxsize=MAX_BOOKS)
def _parse_schema(content: bytes) -> cedar.Schema:
    try:
        return cedar.Schema.from_str(parse_code(content, name=SCHEMA_FILE))
    except ValueError as error:
        raise MalformedError("POLICY_SCHEMA", f"{SCHEMA_FILE}: expected a Cedar schema: {error}") from error


@lru_cache(maxsize=MAX_FILES)
def _verify_types(content: bytes, schema: cedar.Schema, *, name: str) -> None:
    result = cedar.validate_policies(content.decode(), schema)
    if not result.validation_passed:
        names = result.id_annotations_by_policy_id
        problems = "; ".join(f"{names.get(found.policy_id, found.policy_id)}: {found.error}" for found in result.errors)
        raise MalformedError("POLICY_TYPE", f"{name}: expected policies that fit the schema: {problems}", file=name)
