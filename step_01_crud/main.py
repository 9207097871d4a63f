"""The support desk's tickets: every route talks to MongoDB itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from bson import ObjectId
from fastapi import Depends, FastAPI, Path, Query, Request
from pymongo import ReturnDocument

from .database import NEWEST_FIRST, Database, Document, connect, database_name, mongodb_uri
from .errors import HANDLERS, RESPONSES, ClosedTicketReopened, TicketNotFound
from .schemas import (
    AddAgentNote,
    CreateTicket,
    Dashboard,
    ListTickets,
    TicketDetails,
    TicketListItem,
    UpdateStatus,
    UpdateTicket,
    make_preview,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with connect(mongodb_uri(), database_name()) as db:
        await db.tickets.create_index(NEWEST_FIRST)
        await db.tickets.create_index([("status", 1), *NEWEST_FIRST])
        yield {"db": db}


async def get_db(request: Request) -> Database:
    return cast(Database, request.state.db)


Db = Annotated[Database, Depends(get_db)]
TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]

app = FastAPI(
    title="Support tickets",
    lifespan=lifespan,
    exception_handlers=HANDLERS,
    responses=RESPONSES,
    max_body_size=1024 * 1024,  # bytes; FastAPI answers a longer body with a 413
)


@app.post("/tickets", status_code=201)
async def create_ticket(body: CreateTicket, db: Db) -> TicketDetails:
    now = utcnow()
    ticket: Document = body.model_dump() | {
        "status": "open",
        "agent_note": None,
        "created_at": now,
        "updated_at": now,
    }
    await db.tickets.insert_one(ticket)
    return TicketDetails(**ticket)


@app.patch("/tickets/{ticket_id}")
async def update_ticket(ticket_id: TicketId, body: UpdateTicket, db: Db) -> TicketDetails:
    return TicketDetails(**await change(db, ticket_id, body.model_dump(exclude_none=True)))


@app.post("/tickets/{ticket_id}/status", status_code=204)
async def update_status(ticket_id: TicketId, body: UpdateStatus, db: Db) -> None:
    await change(db, ticket_id, {"status": body.new_status})


@app.post("/tickets/{ticket_id}/agent-note", status_code=204)
async def add_agent_note(ticket_id: TicketId, body: AddAgentNote, db: Db) -> None:
    await change(db, ticket_id, {"agent_note": body.note})


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


@app.get("/tickets/{ticket_id}")
async def get_ticket(ticket_id: TicketId, db: Db) -> TicketDetails:
    ticket = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
    if ticket is None:
        raise TicketNotFound
    return TicketDetails(**ticket)


@app.get("/tickets")
async def list_tickets(query: Annotated[ListTickets, Query()], db: Db) -> list[TicketListItem]:
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


@app.get("/dashboard")
async def get_dashboard(db: Db) -> Dashboard:
    groups = await db.tickets.aggregate([{"$group": {"_id": "$status", "count": {"$sum": 1}}}])
    return Dashboard(**{group["_id"]: group["count"] async for group in groups})


def utcnow() -> datetime:
    """Return the time in whole milliseconds, which is what MongoDB stores."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
