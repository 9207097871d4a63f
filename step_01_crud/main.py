"""The support desk's tickets, all in one file: every route talks to MongoDB itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, cast

from bson import ObjectId
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator
from pymongo import ReturnDocument

from . import errors
from .database import Database, Document, connect, database_name, mongodb_uri, without_hurry


def timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def preview(message: str) -> str:
    line = message.strip().replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
    return line if len(line) <= 80 else line[:79] + "…"


Status = Literal["open", "triaged", "closed"]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
LongText = Annotated[str, Field(max_length=20_000)]
Id = Annotated[str, BeforeValidator(str), Field(validation_alias="_id")]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class CreateTicketBody(BaseModel, extra="forbid"):
    customer_id: Annotated[ShortText, Field(max_length=100)]
    subject: Annotated[ShortText, Field(max_length=200)]
    message: Annotated[LongText, Field(pattern=r"\S")]


class UpdateTicketBody(BaseModel, extra="forbid"):
    status: Status | None = None
    agent_note: LongText | None = None

    @model_validator(mode="after")
    def not_empty(self) -> Self:
        if self.status is None and self.agent_note is None:
            raise ValueError("give a status, an agent_note or both")
        return self


class ChangeStatusBody(BaseModel, extra="forbid"):
    new_status: Status


class AddAgentNoteBody(BaseModel, extra="forbid"):
    note: LongText


class Ticket(BaseModel):
    id: Id
    customer_id: str
    subject: str
    message: str
    status: Status
    agent_note: str | None
    created_at: Annotated[Timestamp, BeforeValidator(timestamp)]
    updated_at: Annotated[Timestamp, BeforeValidator(timestamp)]


class TicketListItem(BaseModel):
    id: Id
    subject: str
    status: Status
    updated_at: Timestamp
    preview: str
    has_note: bool


class Dashboard(BaseModel):
    open: int
    triaged: int
    closed: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with connect(mongodb_uri(), database_name()) as database:
        with without_hurry():
            await database.tickets.create_index([("updated_at", -1), ("_id", -1)])
            await database.tickets.create_index([("status", 1), ("updated_at", -1), ("_id", -1)])
        yield {"database": database}


async def get_database(request: Request) -> Database:
    return cast(Database, request.state.database)


TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]
OpenDatabase = Annotated[Database, Depends(get_database)]

app = FastAPI(
    title="Support tickets",
    lifespan=lifespan,
    dependencies=[Depends(errors.refuse_other_json)],
    max_body_size=1024 * 1024,
    exception_handlers=errors.HANDLERS,
    responses=errors.OF_ANY_ROUTE,
)


@app.post("/tickets", status_code=201, responses=errors.OF_CREATE)
async def create_ticket(body: CreateTicketBody, response: Response, db: OpenDatabase) -> Ticket:
    now = datetime.now(UTC)
    ticket: Document = body.model_dump() | {
        "status": "open",
        "agent_note": None,
        "created_at": now,
        "updated_at": now,
    }
    await db.tickets.insert_one(ticket)
    response.headers["Location"] = f"/tickets/{ticket['_id']}"
    return Ticket.model_validate(ticket)


async def change(db: Database, ticket_id: str, changes: Document) -> Document:
    which: Document = {"_id": ObjectId(ticket_id)}
    if changes.get("status", "closed") != "closed":
        # In the filter of the update itself, so that no other request can come in between.
        which["status"] = {"$ne": "closed"}
    ticket = await db.tickets.find_one_and_update(
        which,
        {"$set": {**changes, "updated_at": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )
    if ticket is None:
        found = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
        raise errors.ClosedTicketReopened if found else errors.TicketNotFound
    return ticket


@app.patch("/tickets/{ticket_id}", responses=errors.OF_STATUS)
async def update_ticket(ticket_id: TicketId, body: UpdateTicketBody, db: OpenDatabase) -> Ticket:
    return Ticket.model_validate(await change(db, ticket_id, body.model_dump(exclude_none=True)))


@app.post("/tickets/{ticket_id}/status", status_code=204, responses=errors.OF_STATUS)
async def change_status(ticket_id: TicketId, body: ChangeStatusBody, db: OpenDatabase) -> None:
    await change(db, ticket_id, {"status": body.new_status})


@app.post("/tickets/{ticket_id}/agent-note", status_code=204, responses=errors.OF_NOTE)
async def add_agent_note(ticket_id: TicketId, body: AddAgentNoteBody, db: OpenDatabase) -> None:
    await change(db, ticket_id, {"agent_note": body.note})


@app.get("/tickets/{ticket_id}", responses=errors.OF_READ)
async def get_ticket(ticket_id: TicketId, db: OpenDatabase) -> Ticket:
    ticket = await db.tickets.find_one({"_id": ObjectId(ticket_id)})
    if ticket is None:
        raise errors.TicketNotFound
    return Ticket.model_validate(ticket)


@app.get("/tickets")
async def list_tickets(
    db: OpenDatabase,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    skip: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> list[TicketListItem]:
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


@app.get("/dashboard")
async def get_dashboard(db: OpenDatabase) -> Dashboard:
    groups = await db.tickets.aggregate([{"$group": {"_id": "$status", "count": {"$sum": 1}}}])
    counts = {group["_id"]: group["count"] async for group in groups}
    return Dashboard(**{"open": 0, "triaged": 0, "closed": 0} | counts)
