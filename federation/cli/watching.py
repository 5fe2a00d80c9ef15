"""Following a stream of one's own node: each piece of news once it comes, behind the last token after any break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from federation.cli.options import Desk, N, Q, ask_node
from federation.cli.show import say
from federation.protocol.errors import UnavailableError
from federation.wire.agency.node import GET_STATUS
from federation.wire.rpc import Nothing, Rpc

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient

RECONNECT_SECONDS: Final = 2.0


async def follow(desk: Desk, rpc: Rpc[Q, N], ask: Callable[[str], Q], after: str, notify: Callable[[N], bool]) -> None:
    """Tells each piece of news until `notify` says that it is enough, across lost connections, without a gap.

    `ask` gives the question by the token to go on behind.
    """
    place, reached, act = after, False, desk.act()

    async def read(client: AgencyClient) -> bool:
        """True to go on when the stream has ended."""
        nonlocal place, reached
        await client.call(GET_STATUS, None, Nothing())
        reached = True
        async with aclosing(client.watch(rpc, act, ask(place))) as stream:
            async for news in stream:
                place = news.token or place
                if not notify(news):
                    return False
        return True

    while True:
        try:
            if not await ask_node(desk.profile, read, sign=desk.own_key, timeout_seconds=desk.timeout_seconds):
                return
        except UnavailableError:
            if not reached:
                raise
        say("连接中断，正在重连 | the connection was lost; trying again")
        await asyncio.sleep(RECONNECT_SECONDS)
