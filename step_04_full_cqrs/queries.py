"""What can be asked about tickets; nothing in here changes one."""

from bson import ObjectId

from .database import Database, Document
from .errors import TicketNotFound
from .schemas import Dashboard, Status, Ticket


async def get_ticket(db: Database, ticket_id: str) -> Ticket:
    """Return the whole ticket. Raises TicketNotFound."""
    ticket = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
    if ticket is None:
        raise TicketNotFound
    return Ticket.model_validate(ticket)


async def list_tickets(
    db: Database, status: Status | None, has_note: bool | None, limit: int, skip: int
) -> list[Document]:
    """Return a page of the rows that pass both filters, newest change first."""
    which: Document = {}
    if status is not None:
        which["status"] = status
    if has_note is not None:
        which["has_note"] = has_note
    newest_first = [("updated_at", -1), ("_id", -1)]
    rows = db.ticket_list.find(which, sort=newest_first, skip=skip, limit=limit)
    # The index of just these filters, as MongoDB may prefer one that has only some of them.
    return await rows.hint([*((each, 1) for each in which), *newest_first]).to_list()


async def get_dashboard(db: Database) -> Dashboard:
    """Return the number of tickets in each status."""
    counts = await db.dashboard.find_one({}, ["open", "triaged", "closed"])
    return Dashboard.model_validate(counts or {"open": 0, "triaged": 0, "closed": 0})
