"""The read model: what the list shows, prepared when a ticket changes."""

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from .database import NEWEST_FIRST, Database, Document
from .schemas import TicketListItem, make_preview


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
        "version": ticket.get("version", 0),  # tickets of the other steps have none
    }
    TicketListItem(**row)  # fails for a row that the list could not show
    return row


def not_newer(row: Document) -> Document:
    """Return the filter that finds the stored row of a ticket, unless that row is newer.

    A row without a version, stored by hand, is not newer.
    """
    return {"_id": row["_id"], "version": {"$not": {"$gt": row["version"]}}}


async def project_ticket(db: Database, ticket: Document) -> None:
    """Put the row of a ticket in place, unless a newer one is there."""
    row = to_row(ticket)
    try:
        await db.ticket_reads.update_one(not_newer(row), {"$set": row}, upsert=True)
    except DuplicateKeyError:
        # The filter has not found the row that is there: it is newer, or it has just been stored.
        await db.ticket_reads.update_one(not_newer(row), {"$set": row})


async def create_indexes(db: Database) -> None:
    """Create an index for each combination of the list's filters."""
    await db.ticket_reads.create_indexes(
        [
            IndexModel([*((name, 1) for name in filters), *NEWEST_FIRST])
            for filters in ([], ["status"], ["has_note"], ["status", "has_note"])
        ]
    )
