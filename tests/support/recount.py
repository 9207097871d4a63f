"""Tickets as step 1 leaves them, and what the read model must make of any tickets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from pymongo.collection import Collection

Document = dict[str, Any]

STATUSES = ("open", "triaged", "closed")
NOTES = ("called back", None, "")
FILTERS: list[Document] = [
    status | note
    for status in ({}, *({"status": each} for each in STATUSES))
    for note in ({}, {"has_note": True}, {"has_note": False})
]


def served(http: httpx2.Client) -> Document:
    """Return all that a service says: the dashboard, and the list under each filter."""
    lists = {str(filters): read_list(http, filters) for filters in FILTERS}
    return {"dashboard": http.get("/dashboard").raise_for_status().json(), **lists}


def read_list(http: httpx2.Client, filters: Document) -> list[Document]:
    """Return the complete list, page by page."""
    items: list[Document] = []
    while True:
        page = {**filters, "limit": 100, "skip": len(items)}
        answer = http.get("/tickets", params=page).raise_for_status().json()
        if not answer:
            return items
        items += answer


def recount(tickets: Collection[Document]) -> Document:
    """Return what `served` must be, from the tickets alone."""
    newest_first = sorted(
        tickets.find(), key=lambda ticket: (ticket["updated_at"], ticket["_id"]), reverse=True
    )
    items = [to_item(ticket) for ticket in newest_first]
    lists = {
        str(filters): [item for item in items if filters.items() <= item.items()]
        for filters in FILTERS
    }
    counts = {status: len(lists[str({"status": status})]) for status in STATUSES}
    return {"dashboard": counts, **lists}


def to_item(ticket: Document) -> Document:
    preview = " ".join(ticket["message"].split())
    return {
        "id": str(ticket["_id"]),
        "subject": ticket["subject"],
        "status": ticket["status"],
        "updated_at": ticket["updated_at"].isoformat().replace("+00:00", "Z"),
        "preview": preview if len(preview) <= 80 else preview[:79] + "…",
        "has_note": bool(ticket["agent_note"]),
    }


def tickets_of_step_1(count: int) -> list[Document]:
    """Return documents as step 1 stored them yesterday, with each status and each kind of note."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return [
        {
            "customer_id": "c-42",
            "subject": f"Ticket {number}",
            "message": f"It smokes,\nand smells.\r\n{'What now? ' * (number % 12)}".strip(),
            "status": STATUSES[number % 3],
            "agent_note": NOTES[number // 3 % 3],
            "created_at": yesterday,
            "updated_at": yesterday + timedelta(seconds=number),
        }
        for number in range(count)
    ]
