"""Following a leader's desk: what it is told, across lost connections and restarts of the node, without a gap.

The first connection must work, or the error is told as any other; later ones are tried again until they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from federation.cli.client_profile import ask_node
from federation.cli.output import say
from federation.protocol.errors import UnavailableError

if TYPE_CHECKING:
    from federation.cli.client_profile import Desk
    from federation.wire.client import AgencyClient
    from federation.wire.lookups.oversight.values import News
    from federation.wire.values import Act

AGAIN_SECONDS = 2.0
"""How long until a lost connection is tried again."""


def follow(desk: Desk, act: Act, *, after: str, told: Callable[[News], bool]) -> None:
    """Tells each piece of news until `told` says that it is enough.

    Raises:
        BridgeheadError: as the node answered; UnavailableError when it was not reached the first time.
    """
    asyncio.run(_follow(desk, act, after, told))


async def _follow(desk: Desk, act: Act, after: str, told: Callable[[News], bool]) -> None:
    place, reached = after, False

    async def read(client: AgencyClient) -> bool:
        """Whether to go on when the stream has ended."""
        nonlocal place, reached
        await client.get_status()
        reached = True
        async with aclosing(client.oversight.watch(act, place, agency=desk.profile.agency)) as stream:
            async for news in stream:
                place = news.token or place
                if not told(news):
                    return False
        return True

    while True:
        try:
            if not await ask_node(desk.profile, read, timeout_seconds=desk.timeout_seconds):
                return
        except UnavailableError:
            if not reached:
                raise
        say("连接中断,正在重连 | the connection was lost; trying again")
        await asyncio.sleep(AGAIN_SECONDS)
