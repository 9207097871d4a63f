"""What can happen to a ticket, and the rule that every change keeps."""

from datetime import UTC, datetime
from typing import Self

from bson import ObjectId
from pydantic import BaseModel, model_validator
from pymongo import ReturnDocument

from .database import Database, Document
from .errors import ClosedTicketReopened, TicketNotFound
from .schemas import CustomerId, Message, Note, Status, Subject


class CreateTicket(BaseModel, extra="forbid"):
    customer_id: CustomerId
    subject: Subject
    message: Message


class UpdateStatus(BaseModel, extra="forbid"):
    new_status: Status


class AddAgentNote(BaseModel, extra="forbid"):
    note: Note


class UpdateTicket(BaseModel, extra="forbid"):
    status: Status | None = None
    agent_note: Note | None = None

    @model_validator(mode="after")
    def not_empty(self) -> Self:
        if self.status is None and self.agent_note is None:
            raise ValueError("give a status, an agent_note or both")
        return self


async def create_ticket(db: Database, command: CreateTicket) -> Document:
    """Store a new, open ticket, and return it as it is stored."""
    now = utcnow()
    ticket: Document = command.model_dump() | {
        "status": "open",
        "agent_note": None,
        "created_at": now,
        "updated_at": now,
    }
    await db.tickets.insert_one(ticket)
    return ticket


async def update_ticket(db: Database, ticket_id: str, command: UpdateTicket) -> Document:
    """Change status, note or both in one write, and return the ticket. Raises as `change` does."""
    return await change(db, ticket_id, command.model_dump(exclude_none=True))


async def update_status(db: Database, ticket_id: str, command: UpdateStatus) -> None:
    """Move a ticket to another status. Raises as `change` does."""
    await change(db, ticket_id, {"status": command.new_status})


async def add_agent_note(db: Database, ticket_id: str, command: AddAgentNote) -> None:
    """Set the note of a ticket. It replaces the last one. Raises as `change` does."""
    await change(db, ticket_id, {"agent_note": command.note})


async def change(db: Database, ticket_id: str, fields: Document) -> Document:
    """Change these fields of a ticket, all or none, and return the whole ticket.

    Raises TicketNotFound, or ClosedTicketReopened if the rule forbids the change.
    """
    condition: Document = {"_id": ObjectId(ticket_id)}
    if fields.get("status") in ("open", "triaged"):
        # The rule: a closed ticket is never reopened. It is a condition of the update itself, so
        # no other request can close the ticket between a check and the write.
        condition["status"] = {"$ne": "closed"}
    ticket = await db.tickets.find_one_and_update(
        condition,
        # $max: machines have different clocks, and the time of a ticket must not go back.
        {"$set": fields, "$max": {"updated_at": utcnow()}},
        return_document=ReturnDocument.AFTER,
    )
    if ticket is None:
        found = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
        raise ClosedTicketReopened if found else TicketNotFound
    return ticket


def utcnow() -> datetime:
    """Return the time in whole milliseconds, which is what MongoDB stores."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
