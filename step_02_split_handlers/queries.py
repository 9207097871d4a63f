"""What can be asked about tickets; nothing in here changes one."""

from bson import ObjectId

from .database import Database, Document
from .errors import TicketNotFound
from .schemas import Dashboard, Status, Ticket, TicketListItem, preview, timestamp


async def get_ticket(db: Database, ticket_id: str) -> Ticket:
    """Return the whole ticket. Raises TicketNotFound."""
    ticket = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
    if ticket is None:
        raise TicketNotFound
    return Ticket.model_validate(ticket)


async def list_tickets(
    db: Database, status: Status | None, has_note: bool | None, limit: int, skip: int
) -> list[TicketListItem]:
    """Return a page of the tickets that pass both filters, newest change first."""
    which: Document = {}
    if status is not None:
        which["status"] = status
    if has_note is not None:
        which["agent_note"] = VISIBLE if has_note else {"$not": VISIBLE}
    tickets = db.tickets.find(which, sort=[("updated_at", -1), ("_id", -1)], skip=skip, limit=limit)
    return [to_list_item(ticket) for ticket in await tickets.to_list()]


# White space spelled out: Python and MongoDB's regular expressions differ on what it is.
VISIBLE = {"$regex": r"[^ \t\n\x0b\f\r]"}


def to_list_item(ticket: Document) -> TicketListItem:
    return TicketListItem.model_validate(
        {
            **ticket,
            "updated_at": timestamp(ticket["updated_at"]),
            "preview": preview(ticket["message"]),
            "has_note": (ticket["agent_note"] or "").strip(" \t\n\v\f\r") != "",
        }
    )


async def get_dashboard(db: Database) -> Dashboard:
    """Return the number of tickets in each status."""
    groups = await db.tickets.aggregate([{"$group": {"_id": "$status", "count": {"$sum": 1}}}])
    counts = {group["_id"]: group["count"] async for group in groups}
    return Dashboard(**{"open": 0, "triaged": 0, "closed": 0} | counts)
