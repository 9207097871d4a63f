"""CONTRACT.md in plain Python: what each step has to answer, without HTTP, MongoDB or a clock."""

from collections import Counter
from typing import Any

Json = Any
Answer = tuple[int, Json]

STATUSES = ("open", "triaged", "closed")
UNSEEN_IN_NOTES = " \t\n\v\f\r"
WHITE_SPACE = f"{UNSEEN_IN_NOTES}\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)

DONE: Answer = (204, None)
INVALID: Answer = (422, None)
NOT_FOUND: Answer = (404, {"detail": "Ticket not found"})
CLOSED: Answer = (409, {"detail": "Closed tickets cannot be reopened"})


class Model:
    """The tickets, whose ids are numbers here, in the order of their latest change."""

    def __init__(self) -> None:
        self.tickets: dict[int, dict[str, Json]] = {}

    def create(self, body: Json) -> Answer:
        fields = ("customer_id", "subject", "message")
        if not isinstance(body, dict) or body.keys() != set(fields):
            return INVALID
        if not all(isinstance(body[name], str) for name in fields):
            return INVALID
        customer_id, subject = (body[name].strip(WHITE_SPACE) for name in fields[:2])
        message = body["message"]
        if not (is_text(customer_id, 1, 100) and is_text(subject, 1, 200)):
            return INVALID
        if not (is_text(message, 1, 20_000) and message.strip(WHITE_SPACE)):
            return INVALID
        number = len(self.tickets)
        self.tickets[number] = {
            "id": number,
            "customer_id": customer_id,
            "subject": subject,
            "message": message,
            "status": "open",
            "agent_note": None,
        }
        return 201, self.tickets[number]

    def update(self, number: int | None, body: Json) -> Answer:
        if not isinstance(body, dict) or not body.keys() <= {"status", "agent_note"}:
            return INVALID
        changes = {name: value for name, value in body.items() if value is not None}
        answer = self._change(number, changes) if changes else INVALID
        return (200, self.tickets[number]) if number is not None and answer == DONE else answer

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
        if "agent_note" in changes and not is_text(changes["agent_note"], 0, 20_000):
            return INVALID
        if number is None:
            return NOT_FOUND
        ticket = self.tickets[number]
        if ticket["status"] == "closed" and changes.get("status", "closed") != "closed":
            return CLOSED
        self.tickets[number] = self.tickets.pop(number) | changes
        return DONE

    def get(self, number: int | None) -> Answer:
        return NOT_FOUND if number is None else (200, self.tickets[number])

    def list_tickets(
        self, status: str | None, has_note: bool | None, limit: int, skip: int
    ) -> Answer:
        items = [
            {
                "id": ticket["id"],
                "subject": ticket["subject"],
                "status": ticket["status"],
                "preview": preview(ticket["message"]),
                "has_note": bool((ticket["agent_note"] or "").strip(UNSEEN_IN_NOTES)),
            }
            for ticket in reversed(self.tickets.values())
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


def is_text(value: Json, shortest: int, longest: int) -> bool:
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def preview(message: str) -> str:
    line = " ".join(message.strip().replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return line if len(line) <= 80 else line[:79] + "…"
