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

    def __init__(self, read_db: Database) -> None:
        self._read_db = read_db
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
            position = await self._read_db.dashboard.find_one({"at": {"$ne": None}}, ["at"])
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
    write_db: Database = request.state.write_db
    if mongodb_uri() is None:
        since = utcnow()
        yield write_db
        await project_in_memory(write_db, request.state.read_db, since)
        return
    # `bind` puts the command's operations into this session. It knows the moment of the last one.
    async with write_db.client.start_session().bind() as session:
        yield write_db
    preferences = {each.split(";")[0].strip().lower() for each in ",".join(prefer or []).split(",")}
    if "respond-async" not in preferences and session.operation_time:
        await request.state.progress.reached(session.operation_time)


async def project_in_memory(write_db: Database, read_db: Database, since: datetime) -> None:
    """Project what has changed since a moment. mongomock has no change stream to follow."""
    async for ticket in write_db.tickets.find({"updated_at": {"$gte": since}}):
        await read_db.ticket_reads.replace_one({"_id": ticket["_id"]}, to_row(ticket), upsert=True)
    count = read_db.ticket_reads.count_documents
    counts = {status: await count({"status": status}) for status in STATUSES}
    await read_db.dashboard.replace_one({"_id": "dashboard"}, counts | {"at": since}, upsert=True)
