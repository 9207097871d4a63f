"""Tickets as step 1 stores them, and the requests that are sent about them."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from bson import ObjectId
from faker import Faker
from pymongo.collection import Collection
from tqdm import tqdm

Document = dict[str, Any]

SEED = 1
BATCH = 1000
HOT = 5000  # so many tickets are being worked on
FLIPPED = {"open": "triaged", "triaged": "open"}

NOTE = "Called back: it smokes no more."

random = Random(SEED)
fake = Faker()
fake.seed_instance(SEED)


def fill(tickets: Collection[Document], number: int, shortest: int, longest: int) -> None:
    """Store the tickets of a help desk's year, with messages of so many characters."""
    text, starts = write_text(longest)
    subjects = [fake.sentence(nb_words=6) for _ in range(1000)]
    customers = [fake.user_name() for _ in range(1000)]
    end = datetime.now(UTC) - timedelta(days=1)

    def ticket(days_ago: float) -> Document:
        start = random.choice(starts)
        created = end - timedelta(days=days_ago)
        return {
            "customer_id": random.choice(customers),
            "subject": random.choice(subjects),
            "message": text[start : start + random.randint(shortest, longest)].strip(),
            "status": random.choices(["open", "triaged", "closed"], weights=[5, 10, 85])[0],
            "agent_note": NOTE if random.random() < 0.01 else None,
            "created_at": created,
            "updated_at": created + timedelta(days=days_ago * random.random()),
        }

    with tqdm(total=number, desc=f"Storing {number:,} tickets", unit=" tickets") as bar:
        for first in range(0, number, BATCH):
            batch = range(first, min(first + BATCH, number))
            tickets.insert_many([ticket(365 * (1 - each / number)) for each in batch])
            bar.update(len(batch))


@cache
def write_text(longest: int) -> tuple[str, list[int]]:
    """Return a long text, the same every time, and where in it a message may start."""
    text, starts = "", []
    for _ in range(1000):
        starts.append(len(text))
        text += fake.paragraph(nb_sentences=random.randint(3, 9)) + "\n\n"
    return text, [start for start in starts if start + longest < len(text)]


def sample_ids(tickets: Collection[Document]) -> list[str]:
    """Return the ids of some tickets from anywhere."""
    sample = tickets.aggregate([{"$sample": {"size": 2000}}, {"$project": {"_id": 1}}])
    return [str(ticket["_id"]) for ticket in sample]


def create_requests() -> list[str]:
    """Return requests that open tickets with messages of the usual length."""
    text, starts = write_text(8000)
    messages = [text[start : start + random.randint(2000, 8000)] for start in starts]
    about = {"customer_id": "c-42", "subject": "Printer again"}
    return [request("POST", "/tickets", about | {"message": each}) for each in messages]


def change_requests(command: str, tickets: Collection[Document]) -> list[str]:
    """Return requests that change the tickets that were worked on last, one status there and back.

    None of these is closed, so that no request breaks the rule.
    """
    not_closed = {"status": {"$in": list(FLIPPED)}}
    newest_first = [("updated_at", -1), ("_id", -1)]
    hot = list(tickets.find(not_closed, ["status"], sort=newest_first, limit=HOT))
    random.shuffle(hot)
    there = [change_request(command, each["_id"], FLIPPED[each["status"]]) for each in hot]
    return there + [change_request(command, each["_id"], each["status"]) for each in hot]


def change_request(command: str, ticket_id: ObjectId, status: str) -> str:
    path = f"/tickets/{ticket_id}"
    match command:
        case "patch":
            return request("PATCH", path, {"status": status, "agent_note": NOTE})
        case "status":
            return request("POST", f"{path}/status", {"new_status": status})
        case _:
            return request("POST", f"{path}/agent-note", {"note": NOTE})


def request(method: str, path: str, body: Document | None = None) -> str:
    """Return a line for load.lua."""
    return "\t".join((method, path, json.dumps(body) if body else ""))
