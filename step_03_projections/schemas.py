"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator


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
