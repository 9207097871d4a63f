"""What can be asked about tickets; nothing in here changes one."""

from typing import Annotated

from bson import ObjectId
from pydantic import BaseModel, Field

from .database import NEWEST_FIRST, Database, Document
from .errors import TicketNotFound
from .schemas import Dashboard, Status, TicketDetails, TicketListItem, make_preview


class ListTickets(BaseModel, extra="forbid"):
    status: Status | None = None
    has_note: bool | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    skip: Annotated[int, Field(ge=0, le=10_000)] = 0


async def get_ticket(db: Database, ticket_id: str) -> TicketDetails:
    """Return the whole ticket. Raises TicketNotFound."""
    ticket = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
    if ticket is None:
        raise TicketNotFound
    return TicketDetails(**ticket)


async def list_tickets(db: Database, query: ListTickets) -> list[TicketListItem]:
    """Return a page of the list, the latest change first, ties by id."""
    wanted: Document = {}
    if query.status is not None:
        wanted["status"] = query.status
    if query.has_note is not None:
        # An empty note counts as none.
        wanted["agent_note"] = {"$gt": ""} if query.has_note else {"$in": [None, ""]}
    tickets = db.tickets.find(wanted).sort(NEWEST_FIRST).skip(query.skip).limit(query.limit)
    return [
        TicketListItem(
            **ticket,
            preview=make_preview(ticket["message"]),
            has_note=bool(ticket["agent_note"]),
        )
        async for ticket in tickets
    ]


async def get_dashboard(db: Database) -> Dashboard:
    """Return how many tickets there are of each status."""
    groups = await db.tickets.aggregate([{"$group": {"_id": "$status", "count": {"$sum": 1}}}])
    return Dashboard(**{group["_id"]: group["count"] async for group in groups})
