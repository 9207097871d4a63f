"""The change request: tickets that nobody has answered. The same for every step, over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.requests import Json, add_note, assert_refused, change_status, create, patch

STATUSES = ("open", "triaged", "closed")
NOTES = ("", " \n", "Called back")


def read_list(http: TestClient, **query: Any) -> list[Json]:
    response = http.get("/tickets", params={"limit": 100} | query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()
    return items


def is_unanswered(http: TestClient, ticket: Json) -> bool:
    """Return what the list says of the ticket. The filter and the dashboard must agree with it."""
    [item] = read_list(http)
    assert item["id"] == ticket["id"]
    unanswered: bool = item["unanswered"]
    assert read_list(http, unanswered=unanswered) == [item]
    assert read_list(http, unanswered=not unanswered) == []
    assert http.get("/dashboard").json()["unanswered"] == int(unanswered)
    return unanswered


def test_an_open_ticket_is_unanswered_until_it_has_a_note(http: TestClient) -> None:
    ticket = create(http)
    assert is_unanswered(http, ticket) is True
    add_note(http, ticket, " \n")
    assert is_unanswered(http, ticket) is True
    add_note(http, ticket, "Called back")
    assert is_unanswered(http, ticket) is False
    add_note(http, ticket, "")
    assert is_unanswered(http, ticket) is True


def test_a_ticket_that_is_not_open_is_not_unanswered(http: TestClient) -> None:
    ticket = create(http)
    change_status(http, ticket, "triaged")
    assert is_unanswered(http, ticket) is False
    change_status(http, ticket, "open")
    assert is_unanswered(http, ticket) is True
    patch(http, ticket, status="triaged", agent_note="Called back")
    assert is_unanswered(http, ticket) is False
    patch(http, ticket, status="open", agent_note="")
    assert is_unanswered(http, ticket) is True
    change_status(http, ticket, "closed")
    assert is_unanswered(http, ticket) is False


def test_the_filter_combines_with_the_others_and_with_pages(http: TestClient) -> None:
    for _ in range(2):
        for status in STATUSES:
            for note in NOTES:
                patch(http, create(http), status=status, agent_note=note)
    items = read_list(http)
    assert [item["unanswered"] for item in items].count(True) == 4
    for unanswered in True, False:
        of_these = [item for item in items if item["unanswered"] is unanswered]
        assert read_list(http, unanswered=unanswered) == of_these
        assert read_list(http, unanswered=unanswered, limit=2, skip=1) == of_these[1:3]
        for status in STATUSES:
            of_status = [item for item in of_these if item["status"] == status]
            assert read_list(http, unanswered=unanswered, status=status) == of_status
            for has_note in True, False:
                filters = {"unanswered": unanswered, "status": status, "has_note": has_note}
                of_all = [item for item in of_status if item["has_note"] is has_note]
                assert read_list(http, **filters) == of_all


def test_the_dashboard_counts_unanswered_tickets_beside_the_others(http: TestClient) -> None:
    def dashboard() -> Json:
        counts: Json = http.get("/dashboard").json()
        return counts

    assert dashboard() == {"open": 0, "triaged": 0, "closed": 0, "unanswered": 0}
    first, second, _ = (create(http) for _ in range(3))
    assert dashboard() == {"open": 3, "triaged": 0, "closed": 0, "unanswered": 3}
    add_note(http, first, "Called back")
    assert dashboard() == {"open": 3, "triaged": 0, "closed": 0, "unanswered": 2}
    change_status(http, first, "closed")
    change_status(http, second, "triaged")
    assert dashboard() == {"open": 1, "triaged": 1, "closed": 1, "unanswered": 1}


@pytest.mark.parametrize("value", ["", "maybe", "2", "null"])
def test_a_filter_that_is_neither_true_nor_false_is_invalid(http: TestClient, value: str) -> None:
    assert_refused(http.get("/tickets", params={"unanswered": value}), 422)


def test_the_openapi_document_says_so(http: TestClient) -> None:
    document = http.get("/openapi.json").json()
    parameters = document["paths"]["/tickets"]["get"]["parameters"]
    assert "unanswered" in [each["name"] for each in parameters]
    for name in "TicketListItem", "Dashboard":
        assert "unanswered" in document["components"]["schemas"][name]["properties"]
