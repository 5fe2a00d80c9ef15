"""The status of a node: its log, its agreement, its peers, and what an operator should look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from federation.node.endings import ending_warnings, find_endings
from federation.node.exchange.deliver import Delivery
from federation.node.log.cosigning import Cosigning
from federation.node.lookups.records import count_waiting
from federation.node.node import Node
from federation.protocol.errors import CorruptError
from federation.protocol.ids import format_time
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import Freshness, freshness
from federation.store.log_reader import check_log_sample
from federation.store.messages import count_expired, count_pending, count_unheard, oldest_pending
from federation.store.witness_state import list_forks
from federation.wire.agency.node import EndingLine, NodeStatus, PeerState, WitnessLine

SOFTWARE_VERSION = "0.1.0"
LOW_DISK_BYTES: Final = 1 << 30


def node_status(node: Node, home: Path, *, delivery: Delivery, cosigning: Cosigning) -> NodeStatus:
    agreement, now = node.trust.in_force.agreement, node.now()
    endings, disk = find_endings(home, agreement), shutil.disk_usage(home)
    return NodeStatus(
        node=node.name,
        federation=agreement.federation,
        realm=agreement.realm.value,
        software_version=SOFTWARE_VERSION,
        agreement_version=agreement.version,
        agreement_digest=agreement.digest,
        agreement_freshness=freshness(agreement, now).value,
        agreement_expires=min(agreement.expires_time, agreement.fresh_until_time),
        agreement_fresh_until=agreement.fresh_until_time,
        tree_size=node.sequencer.head.size,
        checkpoint=node.sequencer.head.note,
        peers=tuple(_peers(node, delivery, cosigning)),
        troubles=(*log_troubles(node, cosigning), *_disk_troubles(node), *standing_troubles(node)),
        warnings=(
            *_quorum_warnings(cosigning),
            *_warnings(node, freshness(agreement, now), delivery),
            *standing_warnings(node),
            *unheard_warnings(node),
            *_clock_warnings(node, delivery),
            *disk_warnings(disk.free),
            *ending_warnings(endings, now),
        ),
        witnesses=tuple(_witnesses(cosigning)),
        quorum_met=cosigning.quorum is not None and cosigning.quorum.is_met,
        disk_free_bytes=disk.free,
        disk_size_bytes=disk.total,
        endings=tuple(EndingLine(name=each.name, end_time=each.time, renewed_by=each.renewed_by) for each in endings),
        intake_waiting=count_waiting(node.database),
        bad_rows=node.bad_rows.count() + node.database.row_findings,
    )


def _peers(node: Node, delivery: Delivery, cosigning: Cosigning) -> Iterator[PeerState]:
    waiting, oldest = count_pending(node.database), oldest_pending(node.database)
    expired = count_expired(node.database)
    for name in node.trust.in_force.agreement.members:
        if name == node.name:
            continue
        contact = delivery.contacts.of(name)
        yield PeerState(
            node=name,
            reachable=contact.is_answering,
            waiting_count=waiting.get(name, 0),
            oldest_waiting_time=oldest.get(name),
            last_receipt_time=delivery.last_receipt(name),
            cosigned_size=cosigning.cosigned_size(name),
            clock_offset_millis=None if contact.offset is None else round(contact.offset.total_seconds() * 1000),
            last_contact_time=contact.time,
            expired_count=expired.get(name, 0),
        )


def _witnesses(cosigning: Cosigning) -> Iterator[WitnessLine]:
    newest = cosigning.on_newest_head()
    for each in cosigning.witnesses():
        yield WitnessLine(
            name=each.name,
            cosigned_size=each.size,
            cosigned_time=each.time,
            trouble=each.trouble or "",
            on_newest_head=each.name in newest,
        )


def log_troubles(node: Node, cosigning: Cosigning) -> list[str]:
    """The reasons not to rely on our node: its log stopped, is not confirmed yet, or is disputed; a duty died."""
    found: list[str] = []
    sequencer = node.sequencer
    if sequencer.failure is not None:
        why = sequencer.failure
        found.append(f"日志已停止，不再签署：{why} | the log stopped, nothing is signed any more: {why}")
    elif cosigning.is_holding:
        found.append(
            f"有争议的见证过多，其余不足约定人数，暂停签署，直至争议消除：{sequencer.held} | "
            "so many dispute the log that the others are "
            f"too few for the agreed quorum, nothing is signed until they agree again: {sequencer.held}"
        )
    elif sequencer.held is not None:
        held = sequencer.held
        found.append(f"日志尚未经邻省确认，暂不签署：{held} | the log is not confirmed, nothing is signed yet: {held}")
    found += [f"日志有争议：{dispute} | the log is disputed: {dispute}" for dispute in cosigning.disputes()]
    dead = node.dead_duties
    return [*found, *(f"常驻任务已中断，请重启节点：{name} | a duty died, restart the node: {name}" for name in dead)]


def _disk_troubles(node: Node) -> Iterator[str]:
    """A sentence when the log that lies on the disk is not the one that was signed, where that is cheap to see."""
    signed = node.sequencer.head
    try:
        check_log_sample(node.database, size=signed.size, root=signed.root)
    except CorruptError as error:
        yield (
            f"库中的日志与已签的树头不符（{error.reason}），停机并用备份恢复 | "
            f"the log on disk is not what was signed, stop the node and restore a backup: {error}"
        )


def quorum_warning(cosigning: Cosigning) -> str | None:
    """The sentence that the newest offered head lacks the agreed quorum; None when it has it."""
    quorum = cosigning.quorum
    if quorum is None or quorum.is_met:
        return None
    return (
        f"见证未达约定人数：{quorum.size} 条的日志头有 {quorum.lines}/{quorum.witnesses} 个见证签名，"
        f"缺 {'、'.join(quorum.missing)} | the head of {quorum.size} entries has {quorum.lines} of {quorum.witnesses} "
        f"cosignatures, not the agreed quorum: no line by {', '.join(quorum.missing)}"
    )


def _quorum_warnings(cosigning: Cosigning) -> list[str]:
    warning = quorum_warning(cosigning)
    return [] if warning is None else [warning]


def standing_troubles(node: Node) -> Iterator[str]:
    """A sentence while the others exchange nothing with this node, as they signed it, and what to do about it."""
    own = node.trust.in_force.agreement.members.get(node.name)
    if (version := node.trust.expelled_by) is not None:
        yield (
            f"本节点已由协议第 {version} 版除名（签名已核验），各省不再收发；保全目录与日志，申请重新接纳："
            f"把 member-bundle.json 交给起草的省 | agreement {version}, whose signatures verify, names this node no "
            "more: nothing is exchanged with it. Keep the home and its log; to be admitted again, hand "
            "member-bundle.json to who drafts the next agreement"
        )
    elif own is not None and own.suspended_since is not None:
        day = format_time(own.suspended_since)
        yield (
            f"本节点自 {day} 起中止收发，待送消息暂存，日志照常见证；与各省商定恢复：agreement draft --lift {node.name}"
            f" | this node is suspended since {day}: what waits is kept, its log is witnessed on; agree with the "
            f"other provinces to lift it: agreement draft --lift {node.name}"
        )


def standing_warnings(node: Node) -> Iterator[str]:
    """A sentence for each other member that is suspended, and for each, this one too, with exercises alone."""
    for name, member in sorted(node.trust.in_force.agreement.members.items()):
        if member.exercise_until is not None:
            day = format_time(member.exercise_until)
            yield (
                f"{name} 只收发演练，{day} 起方可商定转为正式：node conform、agreement draft --actual | with {name} "
                f"exercises alone are exchanged; from {day} on the provinces may agree on all: node conform, "
                "agreement draft --actual"
            )
        if member.suspended_since is not None and name != node.name:
            since = format_time(member.suspended_since)
            yield f"{name} 自 {since} 起中止，待送消息暂存 | {name} is suspended since {since}: what waits is kept"


def disk_warnings(free_bytes: int) -> list[str]:
    """A sentence when the disk of the home has less than a GiB left."""
    if free_bytes >= LOW_DISK_BYTES:
        return []
    return [f"磁盘将满，只剩 {free_bytes >> 20} MiB | the disk is nearly full, {free_bytes >> 20} MiB are left"]


def _clock_warnings(node: Node, delivery: Delivery) -> Iterator[str]:
    """A sentence for each province whose clock is off by more than half of what the agreement tolerates."""
    tolerance = node.trust.in_force.agreement.clock_tolerance
    for name in node.trust.in_force.agreement.members:
        offset = delivery.contacts.of(name).offset
        if offset is not None and abs(offset) > tolerance / 2:
            seconds = offset.total_seconds()
            yield (
                f"{name} 的时钟与本节点相差 {seconds:+.1f} 秒，允许 {tolerance.total_seconds():.0f} 秒 | "
                f"the clock of {name} is {seconds:+.1f} s off ours, {tolerance.total_seconds():.0f} s are tolerated"
            )


def unheard_warnings(node: Node) -> Iterator[str]:
    """A sentence for each province that must hear yet what ended on its way, a former member's too."""
    for name, count in sorted(count_unheard(node.database).items()):
        if node.trust.in_force.has(name):
            yield (
                f"发往 {name} 的消息有 {count} 条在途过期，对方恢复后以最新内容重发 | "
                f"messages to {name} that expired on the way, said anew once it answers: {count}"
            )
        else:
            yield (
                f"{name} 已除名，有 {count} 条消息未送达即终止，重新接纳后以最新内容重发 | "
                f"messages to {name}, which was expelled, that ended on the way, said anew once it is admitted "
                f"again: {count}"
            )


def _warnings(node: Node, state: Freshness, delivery: Delivery) -> list[str]:
    found: list[str] = []
    agreement = node.trust.in_force.agreement
    if node.database.row_findings:
        found.append(
            f"库中有记录与日志不符，请运行 bridgehead node check | rows differ from the log "
            f"({node.database.row_findings} in the sample at the start): run bridgehead node check"
        )
    if count := node.bad_rows.count():
        found.append(
            f"常驻任务跳过了 {count} 条无法读取的记录，请运行 bridgehead node check | "
            f"duties passed over {count} rows that they cannot read: run bridgehead node check"
        )
    if state is Freshness.LAPSED:
        end = agreement.fresh_until_time + agreement.lapse_grace
        found.append(
            f"协议续期已过，{end.isoformat()} 后不再发出新消息，除非续签 | "
            f"the agreement's freshness has lapsed; nothing new is sent after {end.isoformat()} unless re-signed"
        )
    if state is Freshness.EXPIRED:
        found.append(
            "协议已过期：任一节点续签以前，不收发新消息 | "
            "the agreement has expired: nothing new is sent or accepted until any node re-signs its freshness"
        )
    for name, member in agreement.members.items():
        error = delivery.last_error(name)
        if error is not None:
            found.append(f"{name}: {error}")
        kept = list_forks(node.database, parse_vkey(member.log_vkey).name)
        if kept:
            found.append(
                f"{name} 的日志签出了两种历史，{len(kept)} 种长度各存两个日志头为证 | "
                f"{name}: its log signed two histories; two heads of {len(kept)} sizes are kept as proof"
            )
    if node.trust.refused:
        found.append(node.trust.refused)
    return found
