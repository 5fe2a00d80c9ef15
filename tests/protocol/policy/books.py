"""A small schema and small policies, so that each rule of the policy modules can be tested by itself."""

from __future__ import annotations

from federation.protocol.policy import Attributes, Entity, EntityRef, PolicyBook, PolicyRequest, load_policy_book

SCHEMA = """
namespace Fed {
  entity Group;
  entity Office in [Group] { kind: String, staff: Set<String> };
  entity Paper { open: Bool, kind?: String, owner: Office };
  action change;
  action "paper.read", "paper.write" in [change] appliesTo {
    principal: [Office], resource: [Paper], context: { purpose: String, fields?: Set<String> } };
}
"""

READ = """
@id("read-open") @title("公开可读") @title_en("Open papers are read") @basis("第一条") @fields("name,place")
@clause1("文件公开|the paper is open") @clause2("字段在内|the fields are ours")
permit (principal is Fed::Office, action == Fed::Action::"paper.read", resource is Fed::Paper)
when { resource.open }
when { if context has fields then ["name", "place"].containsAll(context.fields) else true };
"""

READ_OFFICE = """
@id("read-police") @title("公安可读") @title_en("Police read") @basis("第二条") @fields("name,number")
@clause1("公安|a police office") @clause2("不是闲看|not out of curiosity")
permit (principal is Fed::Office, action == Fed::Action::"paper.read", resource is Fed::Paper)
when { principal.kind == "police" }
unless { context.purpose == "curiosity" };
"""

DENY_SECRET = """
@id("deny-secret") @title("密件不给") @title_en("Secret papers stay") @basis("第三条")
@clause1("密件|the paper is secret")
forbid (principal, action, resource is Fed::Paper)
when { resource has kind && resource.kind == "secret" };
"""


def book_of(*policies: str, schema: str = SCHEMA) -> PolicyBook:
    files = {f"policies/p{number}.cedar": text.encode() for number, text in enumerate(policies)}
    return load_policy_book({"policies/schema.cedarschema": schema.encode(), **files})


def office(kind: str = "police", *, parents: tuple[EntityRef, ...] = ()) -> Entity:
    return Entity(EntityRef("Office", "o"), (("kind", kind), ("staff", frozenset({"a", "b"}))), parents)


def paper(*, is_open: bool = True, kind: str | None = None) -> Entity:
    extra: Attributes = () if kind is None else (("kind", kind),)
    return Entity(EntityRef("Paper", "p"), (("open", is_open), ("owner", EntityRef("Office", "o")), *extra))


def question(
    *,
    action: str = "paper.read",
    principal: Entity | None = None,
    resource: Entity | None = None,
    purpose: str = "duty",
    fields: frozenset[str] | None = None,
) -> PolicyRequest:
    wanted: Attributes = () if fields is None else (("fields", fields),)
    return PolicyRequest(
        principal=principal or office(),
        action=action,
        resource=resource or paper(),
        context=(("purpose", purpose), *wanted),
    )
