"""The changes of a draft against the agreement in force, in words: read by whoever is about to sign it.

Each line stands in Chinese and English. Members and keys are told one by one; of a policy file the rules that come, go
or change by their titles, and every changed line as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from hashlib import sha256
from typing import Final

from tuf.api.metadata import Root, Targets

from federation.protocol.form import to_object
from federation.protocol.ids import AgencyId, NodeName, format_time
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.trust import Agency, AgreementFiles, FormerMember, Member, MessageKey
from federation.protocol.trust.draft import Bundle, bundles_of, membership_of
from federation.protocol.trust.members import MEMBERS_PATH, TERMS_PATH, decode_terms
from federation.protocol.trust.metadata import majority, read_metadata

_FACTS: Final = {
    "name": ("名称", "name"),
    "peer_addr": ("节点地址", "address for nodes"),
    "read_url": ("公开网址", "URL for auditors"),
    "log_vkey": ("日志密钥", "log key"),
    "witness_vkey": ("见证密钥", "witness key"),
    "contact": ("联系方式", "contact"),
}
_ROOT_KEYS: Final = {"agreement_key": ("协议密钥", "agreement key"), "freshness_key": ("续期密钥", "freshness key")}


def describe_changes(before: AgreementFiles | None, after: AgreementFiles) -> Iterator[str]:
    """Returns a line for each change, and the changed lines of each file; against nothing, what is agreed at all."""
    targets = read_metadata(after.targets, Targets, what="targets").signed
    zh = en = format_time(targets.expires)
    root_end = read_metadata(after.roots[-1], Root, what="root").signed.expires
    if root_end < targets.expires:
        zh, en = f"{zh}，根只到 {format_time(root_end)}", f"{en}, its root only until {format_time(root_end)}"
    yield f"协议第 {targets.version} 版，内容有效至 {zh} | agreement {targets.version}, its content holds until {en}"
    known, coming = bundles_of(before) if before is not None else {}, bundles_of(after)
    voting = [sum(each.member.has_vote for each in bundles.values()) for bundles in (known, coming)]
    if majority(voting[0]) != majority(voting[1]):
        needed = f"{majority(voting[1])}/{voting[1]}"
        yield f"签字人数：{needed} | signatures needed: {needed}"
    yield from _terms(before, after)
    left, leaving = membership_of(before).former if before is not None else {}, membership_of(after).former
    for node in sorted(known.keys() | coming.keys()):
        if node in leaving:
            yield from _leaves(leaving[node], version=targets.version)
        else:
            yield from _member(node, known.get(node), coming.get(node), again=node in left)
    for node in sorted(left.keys() - leaving.keys() - coming.keys()):
        yield f"不再保留 {node} 的旧密钥：其所签无从验证 | DROPS the keys of {node}: what it signed verifies no more"
    yield from _files(before.files if before is not None else {}, after.files)


def _terms(before: AgreementFiles | None, after: AgreementFiles) -> Iterator[str]:
    known = to_object(decode_terms(before.files[TERMS_PATH])) if before is not None else {}
    for name, value in to_object(decode_terms(after.files[TERMS_PATH])).items():
        if known.get(name) != value:
            yield f"条款 {name}：{known.get(name, '-')} → {value} | term {name}: {known.get(name, '-')} -> {value}"


def _leaves(former: FormerMember, *, version: int) -> Iterator[str]:
    node, day = former.node, format_time(former.ended)
    yield (
        f"除名 {node}：自协议第 {version} 版生效起不再收发，单位全部失效（{day} 起草）；此前所签仍可验证 | "
        f"EXPELS {node}: nothing to or from it from agreement {version} on, no agency of it (drafted {day}); "
        "what it signed before still verifies"
    )


def _member(node: NodeName, before: Bundle | None, after: Bundle | None, *, again: bool) -> Iterator[str]:
    if after is None:
        yield f"除名 {node}，旧密钥一并删去 | EXPELS {node} AND ITS PAST: what it signed verifies no more"
        return
    if before is None:
        yield f"重新接纳 {node} | ADMITS {node} AGAIN" if again else f"接纳 {node} | ADMITS {node}"
    yield from _standing(node, before.member if before else None, after.member)
    for field, (zh, en) in _FACTS.items():
        yield from _fact(node, zh, en, getattr(before and before.member, field, None), getattr(after.member, field))
    for field, (zh, en) in _ROOT_KEYS.items():
        keys = [bundle and getattr(bundle, field).key_id for bundle in (before, after)]
        yield from _fact(node, zh, en, *keys)
    digests = [bundle and sha256(bundle.member.tls_ca.encode()).hexdigest() for bundle in (before, after)]
    yield from _fact(node, "证书机构", "TLS authority", *digests)
    yield from _message_keys(node, before.member if before else None, after.member)
    yield from _agencies(node, before.member.agencies if before else {}, after.member.agencies)
    retired = before.member.retired_logs if before else ()
    for log in after.member.retired_logs[len(retired) :]:
        end, lost = f"{log.vkey.partition('+')[0]} {log.size}", max(0, log.signed - log.size)
        zh = f"{node}：日志停用，止于 {end}，其后 {lost} 条已失"
        yield f"{zh} | {node} RETIRES ITS LOG at {end}: {lost} entries are lost"
        if log.vouched:
            zh = f"{node}：已签条数无足够见证，由人担保：{log.vouched}"
            yield f"{zh} | {node}: TOO FEW WITNESSES said so, but: {log.vouched}"
    known, coming = before.member.revoked_serials if before else frozenset(), after.member.revoked_serials
    for serial in sorted(coming - known):
        yield f"{node}：吊销节点证书 {serial} | {node} revokes its certificate {serial}"
    for serial in sorted(known - coming):
        yield f"{node}：取消吊销 {serial} | {node} NO LONGER revokes the certificate {serial}"


def _standing(node: NodeName, before: Member | None, after: Member) -> Iterator[str]:
    was, until = before and before.exercise_until, after.exercise_until
    if until is not None and until != was:
        day = format_time(until)
        yield f"{node}：只收发演练，{day} 前不得转为正式 | {node}: EXERCISES ALONE, not all before {day}"
    if was is not None and until is None:
        report = after.conformance
        yield f"{node} 转为正式，一致性报告 {report} | {node} EXCHANGES ALL, by the report of conformance {report}"
    if before is not None and (before.suspended_since is None) != (after.suspended_since is None):
        if after.suspended_since is None:
            yield f"恢复 {node}：暂存的消息重新送达 | LIFTS the suspension of {node}: what was kept for it goes on"
        else:
            yield (
                f"中止 {node}：不再收发，待送消息暂存，其日志继续见证、可核验 | SUSPENDS {node}: nothing to or from "
                "it, what waits for it is kept, its log is witnessed and verified on"
            )


def _fact(node: NodeName, zh: str, en: str, before: object, after: object) -> Iterator[str]:
    if before is None and after:
        yield f"{node}：{zh} {after} | {node}: {en} {after}"
    elif before is not None and before != after:
        yield f"{node}：{zh} {before} → {after} | {node}: {en} {before} -> {after}"


def _message_keys(node: NodeName, before: Member | None, after: Member) -> Iterator[str]:
    known: dict[str, MessageKey] = {entry.key.key_id: entry for entry in (before.message_keys if before else ())}
    for entry in after.message_keys:
        old = known.pop(entry.key.key_id, None)
        start = format_time(entry.valid_from)
        if old is None:
            zh, en = f"消息密钥 {entry.key.key_id}，自 {start}", f"message key {entry.key.key_id} from {start}"
            yield f"{node}：{zh} | {node}: {en}"
        if entry.valid_until is not None and (old is None or old.valid_until != entry.valid_until):
            end = format_time(entry.valid_until)
            yield f"{node}：消息密钥 {entry.key.key_id} 止于 {end} | {node}: message key {entry.key.key_id} ends {end}"
    for key_id in known:
        yield f"{node}：删去消息密钥 {key_id} | {node} DROPS the message key {key_id}: what it signed verifies no more"


def _agencies(node: NodeName, before: Mapping[AgencyId, Agency], after: Mapping[AgencyId, Agency]) -> Iterator[str]:
    if not before:
        yield f"{node}：{len(after)} 个单位 | {node}: {len(after)} agencies"
        return
    for agency in sorted(before.keys() | after.keys(), key=str):
        known, coming = before.get(agency), after.get(agency)
        if known == coming:
            continue
        if coming is None:
            yield f"撤销单位 {agency} {known.name if known else ''} | the agency {agency} ends"
            continue
        functions = ", ".join(sorted(coming.functions)) or "-"
        if known is None:
            yield f"新单位 {agency} {coming.name}：{functions} | a new agency {agency}: functions {functions}"
        else:
            if known.name != coming.name:
                zh, en = f"{known.name} → {coming.name}", f"{known.name} -> {coming.name}"
                yield f"单位 {agency} 改名：{zh} | agency {agency} is renamed: {en}"
            was = ", ".join(sorted(known.functions)) or "-"
            if known.functions != coming.functions:
                zh, en = f"{was} → {functions}", f"functions {was} -> {functions}"
                yield f"单位 {agency} {coming.name}：{zh} | agency {agency}: {en}"


def _files(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    if not before:
        yield f"{len(after)} 个文件，其中规则见 policies/ | {len(after)} files, the policies among them"
        return
    yield from _rules(load_policy_book(before), load_policy_book(after))
    for path in sorted((before.keys() | after.keys()) - {MEMBERS_PATH, TERMS_PATH}):
        if before.get(path) == after.get(path):
            continue
        zh, en = _verb(path in before, path in after)
        yield f"{zh}文件 {path} | {en} the file {path}"
        old, new = (_lines(files.get(path, b"")) for files in (before, after))
        yield from (f"    {line}" for line in list(unified_diff(old, new, n=0, lineterm=""))[2:])


def _rules(before: PolicyBook, after: PolicyBook) -> Iterator[str]:
    for name in sorted(before.policies.keys() | after.policies.keys()):
        known, coming = before.policies.get(name), after.policies.get(name)
        rule = coming or known
        if rule is None or known == coming:
            continue
        zh, en = _verb(known is not None, coming is not None)
        yield f"{zh}规则 {name}：{rule.title_zh} | {en} the rule {name}: {rule.title_en}"


def _verb(known: bool, coming: bool) -> tuple[str, str]:
    if known and coming:
        return "改动", "changes"
    return ("新增", "adds") if coming else ("删去", "drops")


def _lines(content: bytes) -> list[str]:
    return [line if line.isprintable() else repr(line) for line in content.decode(errors="replace").splitlines()]
