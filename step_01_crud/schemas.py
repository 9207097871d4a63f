"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator

Status = Literal["open", "triaged", "closed"]
Id = Annotated[str, Field(validation_alias="_id"), BeforeValidator(str)]
CustomerId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Subject = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Message = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)]


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


class ListTickets(BaseModel, extra="forbid"):
    status: Status | None = None
    has_note: bool | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    skip: Annotated[int, Field(ge=0, le=10_000)] = 0


class TicketDetails(BaseModel):
    id: Id
    customer_id: str
    subject: str
    message: str
    status: Status
    agent_note: str | None
    created_at: datetime
    updated_at: datetime


class TicketListItem(BaseModel):
    id: Id
    subject: str
    status: Status
    updated_at: datetime
    preview: str
    has_note: bool


class Dashboard(BaseModel):
    open: int = 0
    triaged: int = 0
    closed: int = 0


def make_preview(message: str) -> str:
    """Return the message in one line of at most 80 characters."""
    line = " ".join(message.split(maxsplit=80))  # no more than 80 words fit
    return line if len(line) <= 80 else line[:79] + "…"
