"""What the files of the contract suite share: requests, ways to read the answers, a clock."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from httpx2 import Client, Response

Json = dict[str, Any]
Command = tuple[str, str, Json]

NEW_TICKET = {"customer_id": "customer-7", "subject": "Cannot log in", "message": "Please help."}
UNKNOWN_ID = "0123456789abcdef01234567"
STATUSES = ("open", "triaged", "closed")

# What Pydantic's strip_whitespace takes away: all that Unicode calls white space. It is what
# Python's str.strip takes away, except for the four separators U+001C to U+001F.
WHITE_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


def commands_on(ticket_id: str) -> list[Command]:
    """Every way to change a ticket, as method, path and body."""
    ticket = f"/tickets/{ticket_id}"
    return [
        ("PATCH", ticket, {"status": "triaged", "agent_note": "Called back"}),
        ("POST", f"{ticket}/status", {"new_status": "triaged"}),
        ("POST", f"{ticket}/agent-note", {"note": "Called back"}),
    ]


def all_commands(ticket_id: str) -> list[Command]:
    return [("POST", "/tickets", NEW_TICKET), *commands_on(ticket_id)]


def create(http: Client, **fields: str) -> Json:
    response = http.post("/tickets", json=NEW_TICKET | fields)
    assert response.status_code == 201, response.text
    ticket: Json = response.json()
    return ticket


def create_at_once(http: Client, count: int) -> list[Json]:
    """Create many tickets, eight at a time."""
    with ThreadPoolExecutor(8) as clients:
        return list(clients.map(lambda _: create(http), range(count)))


def patch(http: Client, ticket: Json, **changes: str | None) -> Json:
    response = http.patch(f"/tickets/{ticket['id']}", json=changes)
    assert response.status_code == 200, response.text
    changed: Json = response.json()
    return changed


def change_status(http: Client, ticket: Json, new_status: str) -> None:
    response = http.post(f"/tickets/{ticket['id']}/status", json={"new_status": new_status})
    assert response.status_code == 204, response.text


def add_note(http: Client, ticket: Json, note: str) -> None:
    response = http.post(f"/tickets/{ticket['id']}/agent-note", json={"note": note})
    assert response.status_code == 204, response.text


def read(http: Client, ticket: Json) -> Json:
    response = http.get(f"/tickets/{ticket['id']}")
    assert response.status_code == 200, response.text
    details: Json = response.json()
    return details


def read_list(http: Client, **query: str | int | bool) -> list[Json]:
    response = http.get("/tickets", params=query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()
    return items


def read_list_item(http: Client, ticket: Json) -> Json:
    [item] = [each for each in read_list(http, limit=100) if each["id"] == ticket["id"]]
    return item


def read_dashboard(http: Client) -> Json:
    response = http.get("/dashboard")
    assert response.status_code == 200, response.text
    counts: Json = response.json()
    return counts


def read_everything(http: Client) -> tuple[list[Json], list[Json], Json]:
    """All that the service shows. Compare it before and after what must change nothing."""
    items = read_list(http, limit=100)
    return items, [read(http, item) for item in items], read_dashboard(http)


def assert_refused(response: Response, *statuses: int) -> None:
    """The answer has one of these statuses and says in JSON what is wrong."""
    assert response.status_code in statuses, response.text
    assert response.json()["detail"]


def updated_at(answer: Json) -> datetime:
    """The moment at which a ticket or a list item says that it changed last.

    Do not compare the text: it has no fraction at a full second.
    """
    return datetime.fromisoformat(answer["updated_at"])


def now() -> datetime:
    """The time to the millisecond, as the service tells it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def wait_for_the_next_millisecond() -> None:
    start = now()
    while now() == start:
        pass
