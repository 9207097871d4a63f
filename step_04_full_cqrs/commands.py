"""What can happen to a ticket, and the rule that holds whatever the reads want."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection

from .database import Document
from .errors import ClosedTicketReopened, TicketNotFound
from .schemas import Status


@dataclass(frozen=True)
class WriteSide:
    """The tickets, and a way to wait until the read side shows a change to one."""

    tickets: AsyncCollection[Document]
    projected: Callable[[Document], Awaitable[None]]


@dataclass(frozen=True)
class CreateTicket:
    customer_id: str
    subject: str
    message: str


@dataclass(frozen=True)
class ChangeStatus:
    new_status: Status


@dataclass(frozen=True)
class AddAgentNote:
    note: str


async def create_ticket(db: WriteSide, command: CreateTicket) -> Document:
    """Store a new, open ticket and return its document."""
    now = datetime.now(UTC)
    ticket: Document = asdict(command) | {
        "status": "open",
        "agent_note": None,
        "created_at": now,
        "updated_at": now,
        "version": 1,
        "unprojected": True,
    }
    await db.tickets.insert_one(ticket)
    await db.projected(ticket)
    return ticket


async def change_ticket(
    db: WriteSide, ticket_id: str, *commands: ChangeStatus | AddAgentNote
) -> Document:
    """Apply the commands to a ticket, all or none of them, and return its document.

    Raises TicketNotFound, or ClosedTicketReopened where the rule forbids one of them.
    """
    which: Document = {"_id": ObjectId(ticket_id)}
    changes: Document = {"updated_at": datetime.now(UTC), "unprojected": True}
    for command in commands:
        match command:
            case ChangeStatus(new_status):
                changes["status"] = new_status
                if new_status != "closed":
                    # In the filter of the update itself, so that no other request can come
                    # in between.
                    which["status"] = {"$ne": "closed"}
            case AddAgentNote(note):
                changes["agent_note"] = note
    ticket = await db.tickets.find_one_and_update(
        which, {"$set": changes, "$inc": {"version": 1}}, return_document=ReturnDocument.AFTER
    )
    if ticket is None:
        found = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
        raise ClosedTicketReopened if found else TicketNotFound
    await db.projected(ticket)
    return ticket
