"""The read model: a row per ticket that is what the list shows, and a document of counts."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import get_args

from pymongo.errors import BulkWriteError, DuplicateKeyError

from .database import Database, Document
from .schemas import Status, preview, timestamp

logger = logging.getLogger("uvicorn.error")


def to_row(ticket: Document) -> Document:
    return {
        "_id": ticket["_id"],
        "subject": ticket["subject"],
        "status": ticket["status"],
        "updated_at": timestamp(ticket["updated_at"]),
        "preview": preview(ticket["message"]),
        "has_note": (ticket["agent_note"] or "").strip(" \t\n\v\f\r") != "",
        "version": int(ticket.get("version", 0)),  # steps 1 and 2 write none
    }


async def create_indexes(write: Database, read: Database) -> None:
    """Create an index for each combination of the list's filters, and one to catch up by."""
    newest_first = [("updated_at", -1), ("_id", -1)]
    await write.tickets.create_index(newest_first)
    for filters in ([], ["status"], ["has_note"], ["status", "has_note"]):
        await read.ticket_list.create_index([*((each, 1) for each in filters), *newest_first])


async def changed_since(read: Database) -> Document:
    """Return a filter for the tickets that may have changed since the newest row."""
    newest = await read.ticket_list.find_one(sort=[("updated_at", -1), ("_id", -1)])
    if newest is None:
        return {}
    # A minute less, since clocks differ.
    since = datetime.fromisoformat(newest["updated_at"]) - timedelta(minutes=1)
    return {"updated_at": {"$gte": since}}


async def project(db: Database, ticket: Document) -> None:
    """Bring the read model up to this version of the ticket, unless it is beyond it.

    A crash before the end leaves it behind until it is rebuilt.
    """
    row = to_row(ticket)
    older = {"_id": row["_id"], "version": {"$lt": row["version"]}}
    try:
        before = await db.ticket_list.find_one_and_replace(older, row, upsert=True)
    except DuplicateKeyError:
        # The row is not older than ours, or is the first one, put in by another request just now.
        before = await db.ticket_list.find_one_and_replace(older, row)
        if before is None:
            return
    # By the difference to the row, not to the ticket, as versions may have been skipped.
    if before is None:
        moved = {row["status"]: 1}
    elif before["status"] != row["status"]:
        moved = {before["status"]: -1, row["status"]: 1}
    else:
        return
    await db.dashboard.update_one({"_id": "dashboard"}, {"$inc": moved})


async def catch_up(db: Database) -> None:
    """Bring the read model up to what other steps wrote; build it where there is none."""
    await create_indexes(db, db)
    which = await changed_since(db)
    if await db.dashboard.find_one() is None:
        async for done in build(db):
            logger.info("Building the read model: %d tickets", done)
        if not which:  # else there are rows of an earlier build, which was not finished
            return
    # A row only gives way to a newer version, and steps 1 and 2 raise none.
    behind = await db.tickets.update_many(which, {"$inc": {"version": 1}})
    logger.info("Catching up with %d tickets", behind.modified_count)
    # Oldest first, so that after a crash the newest row tells where to go on.
    async for ticket in db.tickets.find(which, sort=[("updated_at", 1), ("_id", 1)]):
        await project(db, ticket)


async def build(db: Database) -> AsyncIterator[int]:
    """Build a read model where there is none; yield the number of tickets done, batch by batch.

    Several workers may build at once. The first to finish stores the counts and serves; from
    then on a row from here would be one that no count knows of. So a worker looks for the
    counts between reading its tickets and writing their rows.
    """
    done = 0
    page: Document = {}
    while tickets := await db.tickets.find(page, sort=[("_id", 1)], limit=1000).to_list():
        if await db.dashboard.find_one() is not None:
            return
        try:
            await db.ticket_list.insert_many(map(to_row, tickets), ordered=False)
        except BulkWriteError as error:
            # A row that is there already is from another worker, or from a build before this one.
            if any(each["code"] != 11000 for each in error.details["writeErrors"]):
                raise
        done += len(tickets)
        yield done
        page = {"_id": {"$gt": tickets[-1]["_id"]}}
    count = db.ticket_list.count_documents
    counts = {status: await count({"status": status}) for status in get_args(Status)}
    await db.dashboard.update_one({"_id": "dashboard"}, {"$setOnInsert": counts}, upsert=True)
