"""CONTRACT.md in plain Python: what each step has to answer, without HTTP or MongoDB."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from ..support.requests import STATUSES, WHITE_SPACE

Json = Any
Answer = tuple[int, Json]

DONE: Answer = (204, None)
INVALID: Answer = (422, None)
NOT_FOUND: Answer = (404, {"detail": "Ticket not found"})
CLOSED: Answer = (409, {"detail": "Closed tickets cannot be reopened"})

LONGEST = {"customer_id": 100, "subject": 200, "message": 20_000}
LONGEST_NOTE = 20_000
START = datetime(2026, 12, 31, 23, 59, 59, 990_000, UTC)  # a full second is near


class Model:
    """The tickets, with numbers as ids, and the clock of the service."""

    def __init__(self) -> None:
        self.tickets: dict[int, dict[str, Json]] = {}
        self.now = START

    def move_clock(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    def create(self, body: Json) -> Answer:
        if not isinstance(body, dict) or body.keys() != LONGEST.keys():
            return INVALID
        texts = {name: trimmed(body[name], longest) for name, longest in LONGEST.items()}
        if not all(texts.values()):
            return INVALID
        number = len(self.tickets)
        self.tickets[number] = {
            "id": number,
            **texts,
            "status": "open",
            "agent_note": None,
            "created_at": self.now,
            "updated_at": self.now,
        }
        return 201, shown(self.tickets[number])

    def update(self, number: int | None, body: Json) -> Answer:
        if not isinstance(body, dict) or not body.keys() <= {"status", "agent_note"}:
            return INVALID
        changes = {name: value for name, value in body.items() if value is not None}
        answer = self._change(number, changes) if changes else INVALID
        return self.get(number) if answer == DONE else answer

    def change_status(self, number: int | None, body: Json) -> Answer:
        if not isinstance(body, dict) or body.keys() != {"new_status"}:
            return INVALID
        return self._change(number, {"status": body["new_status"]})

    def add_agent_note(self, number: int | None, body: Json) -> Answer:
        if not isinstance(body, dict) or body.keys() != {"note"}:
            return INVALID
        return self._change(number, {"agent_note": body["note"]})

    def _change(self, number: int | None, changes: dict[str, Json]) -> Answer:
        if "status" in changes and changes["status"] not in STATUSES:
            return INVALID
        if "agent_note" in changes:
            note = trimmed(changes["agent_note"], LONGEST_NOTE)
            if note is None:
                return INVALID
            changes = changes | {"agent_note": note}
        if number is None:
            return NOT_FOUND
        ticket = self.tickets[number]
        if ticket["status"] == "closed" and changes.get("status", "closed") != "closed":
            return CLOSED
        ticket |= changes | {"updated_at": max(ticket["updated_at"], self.now)}
        return DONE

    def get(self, number: int | None) -> Answer:
        return NOT_FOUND if number is None else (200, shown(self.tickets[number]))

    def list_tickets(
        self,
        status: str | None = None,
        has_note: bool | None = None,
        limit: int = 20,
        skip: int = 0,
    ) -> Answer:
        newest_first = sorted(
            self.tickets.values(),
            key=lambda ticket: (ticket["updated_at"], ticket["id"]),
            reverse=True,
        )
        items = [
            {
                "id": ticket["id"],
                "subject": ticket["subject"],
                "status": ticket["status"],
                "updated_at": as_text(ticket["updated_at"]),
                "preview": preview(ticket["message"]),
                "has_note": bool(ticket["agent_note"]),
            }
            for ticket in newest_first
        ]
        found = [
            item
            for item in items
            if status in (None, item["status"]) and has_note in (None, item["has_note"])
        ]
        return 200, found[skip : skip + limit]

    def dashboard(self) -> Answer:
        counts = Counter(ticket["status"] for ticket in self.tickets.values())
        return 200, {status: counts[status] for status in STATUSES}


def trimmed(value: Json, longest: int) -> str | None:
    """Return the text without white space around it, or None if the value is not valid."""
    if not isinstance(value, str) or any("\ud800" <= each <= "\udfff" for each in value):
        return None
    text = value.strip(WHITE_SPACE)
    return text if len(text) <= longest else None


def preview(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 80 else line[:79] + "…"


def shown(ticket: dict[str, Json]) -> Json:
    times = {name: as_text(ticket[name]) for name in ("created_at", "updated_at")}
    return ticket | times


def as_text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
