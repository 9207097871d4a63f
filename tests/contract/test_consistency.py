"""The contract: every later request reads what a request wrote, and how not to wait for that."""

from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient
from httpx2 import Response

from ..support.requests import (
    NEW_TICKET,
    UNKNOWN_ID,
    Json,
    add_note,
    all_commands,
    change_status,
    commands_on,
    create,
    patch,
    read,
    read_dashboard,
    read_list,
    read_list_item,
)
from ..support.servers import wait_until


def assert_everything_says(http: TestClient, ticket: Json, status: str, note: str | None) -> None:
    """The details, the list by each filter and the dashboard, of a service with one ticket."""
    details = read(http, ticket)
    assert (details["status"], details["agent_note"]) == (status, note)
    has_note = bool(note)
    item = read_list_item(http, ticket)
    assert item == {
        "id": ticket["id"],
        "subject": ticket["subject"],
        "status": status,
        "updated_at": details["updated_at"],
        "preview": ticket["message"],
        "has_note": has_note,
    }
    assert read_list(http, has_note=has_note) == [item]
    assert read_list(http, has_note=not has_note) == []
    for each in "open", "triaged", "closed":
        assert read_list(http, status=each) == ([item] if each == status else [])
    assert read_dashboard(http) == {"open": 0, "triaged": 0, "closed": 0} | {status: 1}


def common_part(response: Response) -> Json:
    """The body, without the fields that differ between any two tickets."""
    body: Json = response.json() if response.content else {}
    own = ("id", "created_at", "updated_at")
    return {field: value for field, value in body.items() if field not in own}


def test_each_command_is_seen_by_every_read_that_follows(http: TestClient) -> None:
    ticket = create(http)
    assert_everything_says(http, ticket, "open", None)
    change_status(http, ticket, "triaged")
    assert_everything_says(http, ticket, "triaged", None)
    add_note(http, ticket, "Called back")
    assert_everything_says(http, ticket, "triaged", "Called back")
    patch(http, ticket, status="open", agent_note="")
    assert_everything_says(http, ticket, "open", "")
    patch(http, ticket, agent_note="Called again")
    assert_everything_says(http, ticket, "open", "Called again")
    patch(http, ticket, status="closed")
    assert_everything_says(http, ticket, "closed", "Called again")
    add_note(http, ticket, "")
    assert_everything_says(http, ticket, "closed", "")


def test_clients_that_work_at_the_same_time_each_read_what_they_wrote(http: TestClient) -> None:
    def work(_: int) -> None:
        ticket = create(http)
        assert read_list_item(http, ticket)["status"] == "open"
        change_status(http, ticket, "triaged")
        assert read_list_item(http, ticket)["status"] == "triaged"
        add_note(http, ticket, "Called back")
        assert read_list_item(http, ticket)["has_note"] is True
        patch(http, ticket, status="closed", agent_note="")
        item = read_list_item(http, ticket)
        assert (item["status"], item["has_note"]) == ("closed", False)

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(work, range(12)))
    assert read_dashboard(http) == {"open": 0, "triaged": 0, "closed": 12}


def test_prefer_changes_neither_status_nor_body_of_an_answer(http: TestClient) -> None:
    for preference in "respond-async", "wait=5, Respond-Async":
        closed = patch(http, create(http), status="closed")["id"]
        twins = [
            [*all_commands(create(http)["id"]), *commands_on(closed), *commands_on(UNKNOWN_ID)]
            for _ in range(2)
        ]
        for (method, path, body), (_, same_path, _) in zip(*twins, strict=True):
            plain = http.request(method, path, json=body)
            preferring = http.request(method, same_path, json=body, headers={"Prefer": preference})
            assert preferring.status_code == plain.status_code
            assert common_part(preferring) == common_part(plain)


def test_what_was_commanded_without_waiting_is_in_the_details_at_once_and_elsewhere_soon(
    http: TestClient,
) -> None:
    respond_async = {"Prefer": "respond-async"}
    ticket = http.post("/tickets", json=NEW_TICKET, headers=respond_async).json()
    assert read(http, ticket) == ticket
    path = f"/tickets/{ticket['id']}"
    for number in range(5):
        note = f"Called back {number} times"
        http.post(f"{path}/agent-note", json={"note": note}, headers=respond_async)
        assert read(http, ticket)["agent_note"] == note
    http.post(f"{path}/status", json={"new_status": "triaged"}, headers=respond_async)
    assert read(http, ticket)["status"] == "triaged"
    answer = http.patch(path, json={"status": "closed"}, headers=respond_async).json()
    assert read(http, ticket) == answer
    wait_until(lambda: read_list(http, status="closed"))
    wait_until(lambda: read_dashboard(http)["closed"])
    assert_everything_says(http, ticket, "closed", answer["agent_note"])
