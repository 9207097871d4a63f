"""The read model: a row per ticket that is what the list shows, and a document of counts."""

from datetime import datetime, timedelta

from .database import Database, Document
from .schemas import preview, timestamp


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
