"""What the desk sees of a step's databases, apart from what the step answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from ..xray import Command, explain

Document = dict[str, Any]
Database = AsyncDatabase[Document]


class Sides:
    """The database of the tickets, and that of the read side if it is another one."""

    def __init__(self, write: Database, read: Database | None) -> None:
        self._write = write
        self._read = read

    async def explain(self, commands: list[Command]) -> list[Document]:
        """Return the figures of commands, with what MongoDB looked at."""
        return [await explain(self._database_of(command), command) for command in commands]

    def _database_of(self, command: Command) -> Database:
        if self._read is None or command.collection == "tickets":
            return self._write
        return self._read

    async def behind(self) -> float | None:
        """Return the age in milliseconds of the oldest change that the read side does not show.

        It is 0 if there is no such change. It is None if there is no separate read side, or if
        nobody can tell.
        """
        if self._read is None:
            return None
        try:
            position = await self._read.dashboard.find_one({"resume": {"$ne": None}}, ["resume"])
            if position is None:
                return None
            log = [{"$changeStream": position["resume"]}, {"$project": {"wallTime": 1}}]
            changes = await self._write.tickets.aggregate(log, batchSize=1, maxAwaitTimeMS=1)
            async with changes:
                oldest = await changes.try_next()
        except PyMongoError:  # out of reach, for example: the step's own answers say so
            return None
        if oldest is None:
            return 0
        age: timedelta = datetime.now(UTC) - oldest["wallTime"]
        return age / timedelta(milliseconds=1)

    async def written(self, ids: list[ObjectId]) -> Document:
        """Return what these tickets say, and how many tickets there are of each status."""
        has_note = {"$gt": ["$agent_note", ""]}  # a note may be long, so MongoDB does not send it
        fields = {"status": 1, "updated_at": 1, "has_note": has_note}
        tickets = self._write.tickets.find({"_id": {"$in": ids}}, fields)
        groups = await self._write.tickets.aggregate(
            [{"$group": {"_id": "$status", "count": {"$sum": 1}}}]
        )
        counts = {str(group["_id"]): group["count"] async for group in groups}
        return {
            "tickets": {
                str(ticket["_id"]): {
                    "status": ticket.get("status"),
                    "has_note": ticket["has_note"],
                    "updated_at": ticket.get("updated_at"),
                }
                async for ticket in tickets
            },
            "counts": {status: counts.get(status, 0) for status in ("open", "triaged", "closed")},
        }
