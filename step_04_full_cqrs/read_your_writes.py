"""Read your writes: a command answers when the read side shows what it wrote."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from bson import Timestamp
from fastapi import Header, Request
from pymongo.errors import PyMongoError

from .commands import utcnow
from .database import Database, mongodb_uri
from .projections import STATUSES, to_row

PATIENCE = 1.0  # seconds


class Progress:
    """How far the read side has come. It is looked up only while commands wait for it."""

    def __init__(self, read: Database) -> None:
        self._read = read
        self._at = Timestamp(0, 0)
        self._look: asyncio.Task[None] | None = None

    async def reached(self, moment: Timestamp) -> None:
        """Wait until the read side has come to a moment, or for a second.

        The change is stored by then, whether the read side shows it or not.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE
        while self._at < moment and (left := deadline - clock()) > 0:
            if self._look is None or self._look.done():  # one look serves all that wait
                self._look = asyncio.create_task(self._look_up())
            await asyncio.wait([self._look], timeout=left)

    async def _look_up(self) -> None:
        await asyncio.sleep(0.002)
        try:
            position = await self._read.dashboard.find_one({"at": {"$ne": None}}, ["at"])
        except PyMongoError:
            return
        if position:
            self._at = position["at"]


async def read_your_writes(
    request: Request, prefer: Annotated[list[str] | None, Header(include_in_schema=False)] = None
) -> AsyncIterator[Database]:
    """Give a command its database, and let it answer when its change can be read.

    `Prefer: respond-async` (RFC 7240) skips the wait.
    """
    write: Database = request.state.write
    if mongodb_uri() is None:
        since = utcnow()
        yield write
        await project_in_memory(write, request.state.read, since)
        return
    # `bind` puts all that the command does into this session, which knows when it last wrote.
    async with write.client.start_session().bind() as session:
        yield write
    preferences = {each.split(";")[0].strip().lower() for each in ",".join(prefer or []).split(",")}
    if "respond-async" not in preferences and session.operation_time:
        await request.state.progress.reached(session.operation_time)


async def project_in_memory(write: Database, read: Database, since: datetime) -> None:
    """Project what has changed since a moment. mongomock has no change stream to follow."""
    async for ticket in write.tickets.find({"updated_at": {"$gte": since}}):
        await read.ticket_reads.replace_one({"_id": ticket["_id"]}, to_row(ticket), upsert=True)
    count = read.ticket_reads.count_documents
    counts = {status: await count({"status": status}) for status in STATUSES}
    await read.dashboard.replace_one({"_id": "dashboard"}, counts | {"at": since}, upsert=True)
