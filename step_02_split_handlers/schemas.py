"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

Status = Literal["open", "triaged", "closed"]
Id = Annotated[str, Field(validation_alias="_id"), BeforeValidator(str)]
CustomerId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Subject = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Message = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)]


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
