"""The read model: what the list and the dashboard show, prepared when a ticket changes."""

from typing import Any, get_args

from bson import Timestamp
from pymongo import DeleteOne, IndexModel, UpdateOne

from .database import NEWEST_FIRST, Database, Document, logger
from .schemas import Status, TicketListItem, make_preview

STATUSES = get_args(Status)


def to_row(ticket: Document) -> Document:
    """Return the row of a ticket: what the list shows of it.

    Raises an error if somebody made the ticket unreadable by hand.
    """
    row = {
        "_id": ticket["_id"],
        "subject": ticket["subject"],
        "status": ticket["status"],
        "updated_at": ticket["updated_at"],
        "preview": make_preview(ticket["message"]),
        "has_note": bool(ticket["agent_note"]),
    }
    TicketListItem(**row)  # fails for a row that the list could not show
    return row


def row_write(ticket_id: Any, ticket: Document | None, as_of: Timestamp) -> UpdateOne | DeleteOne:
    """Return the write that puts the row of a ticket in place, unless a later one is there.

    `as_of` is the moment in the log that the row is true for. A ticket that was deleted is None.
    It gets no row, and neither does a ticket that cannot be shown.
    """
    try:
        row = to_row(ticket) | {"as_of": as_of} if ticket else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.error("Ticket %s cannot be shown: %r", ticket_id, error)
        row = None
    if row is None:
        return DeleteOne({"_id": ticket_id, "as_of": {"$lte": as_of}})
    is_later = {"$gt": ["$as_of", as_of]}
    return UpdateOne(
        {"_id": ticket_id},
        [{"$replaceWith": {"$cond": [is_later, "$$ROOT", {"$literal": row}]}}],
        upsert=True,
    )


def counted(ticket: Document | None) -> list[str]:
    """Return which counts of the dashboard a ticket is part of. None is no ticket."""
    return [status for status in STATUSES if ticket and ticket.get("status") == status]


async def create_indexes(db: Database) -> None:
    """Create an index for each combination of the list's filters."""
    await db.ticket_reads.create_indexes(
        [
            IndexModel([*((name, 1) for name in filters), *NEWEST_FIRST])
            for filters in ([], ["status"], ["has_note"], ["status", "has_note"])
        ]
    )
