"""What a leader's desk is told at once: every notice and flag, as a stream that goes on behind where it broke off.

Rules kept: the store is the queue, read a page at a time as fast as the reader takes it, so that a slow reader holds up
nobody and misses nothing; a wake-up makes it immediate, and a look now and then finds what another process wrote.
Source: misuse control M10 (notice at once), DESIGN section 8 (a slow reader).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from federation.domain.oversight import BreakGlass, Finding, FlagKind
from federation.node.lookups.watch import flags, glass
from federation.node.node import Node
from federation.protocol.ids import AgencyId
from federation.wire.agency.oversight import News, NoticeState


def tell_desk(node: Node, desk: AgencyId) -> None:
    """Wakes the streams of a desk, once what was raised is durable."""
    node.waiters.tell(desk_key(desk))


async def watch_desk(
    node: Node, desk: AgencyId, *, after: str, state_of: Callable[[BreakGlass], NoticeState]
) -> AsyncIterator[News]:
    """The open notices, then each notice and flag as it is raised; with `after`, those behind that token.

    Ends when the node stops.
    """
    seen: set[str] = set()
    number = int(after) if after else flags.count_flags(node.database, desk)
    if not after:
        for notice in glass.list_notices(node.database, desk):
            if notice.finding is Finding.OPEN:
                seen.add(notice.case_id)
                yield News(token="", notice=state_of(notice))
    while not node.waiters.ended:
        found = flags.list_after(node.database, desk, number)
        for number, raised in found:
            case_id = raised.flag.case_id
            if raised.flag.kind is not FlagKind.BREAK_GLASS:
                yield News(token=str(number), flag=raised)
            elif case_id in seen:
                seen.discard(case_id)
            elif (known := glass.find_notice(node.database, desk, case_id)) is not None:
                yield News(token=str(number), notice=state_of(known))
        if not found:
            await node.waiters.wait(desk_key(desk))


def desk_key(desk: AgencyId) -> str:
    """The key of `waiters` by which the streams of a desk are woken."""
    return f"desk/{desk}"
