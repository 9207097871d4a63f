"""The contract: the list of tickets, its items, order, pages and filters, and the dashboard."""

from fastapi.testclient import TestClient
from pytest import MonkeyPatch

from ..support.clock import stop_clock
from ..support.requests import (
    STATUSES,
    WHITE_SPACE,
    Json,
    add_note,
    assert_refused,
    change_status,
    create,
    create_at_once,
    now,
    patch,
    read_dashboard,
    read_list,
    read_list_item,
    updated_at,
    wait_for_the_next_millisecond,
)

# What Python's str.split takes for white space. That is more than what is trimmed.
FOLDED = f"{WHITE_SPACE}\x1c\x1d\x1e\x1f"
BLANK_NOTES = ["", " ", WHITE_SPACE]
NOTES = ["x", "\0", "\x1c", "\u200b", f"{WHITE_SPACE}.", "x" * 20_000]


def preview_of(http: TestClient, message: str) -> str:
    return str(read_list_item(http, create(http, message=message))["preview"])


def newest_first(items: list[Json]) -> list[Json]:
    return sorted(items, key=lambda item: (updated_at(item), item["id"]), reverse=True)


def test_a_list_item_says_what_the_ticket_says(http: TestClient) -> None:
    ticket = create(http, message="I cannot log in.\nPlease help.")
    ticket = patch(http, ticket, status="triaged", agent_note="Called back")
    assert read_list(http) == [
        {
            "id": ticket["id"],
            "subject": ticket["subject"],
            "status": "triaged",
            "updated_at": ticket["updated_at"],
            "preview": "I cannot log in. Please help.",
            "has_note": True,
        }
    ]


def test_a_preview_shows_each_run_of_white_space_as_one_space(http: TestClient) -> None:
    for message, preview in (
        ("x".join(FOLDED), " ".join("x" * (len(FOLDED) - 1))),
        (f"{FOLDED}a{FOLDED}b{FOLDED}", "a b"),
        ("a\r\n\r\nb  c \t d", "a b c d"),
        ("a\0\u200b\ufeffb", "a\0\u200b\ufeffb"),
        ("\x1c", ""),
    ):
        assert preview_of(http, message) == preview


def test_a_preview_longer_than_80_characters_ends_in_an_ellipsis_after_79(
    http: TestClient,
) -> None:
    for message, preview in (
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ("x" * 20_000, "x" * 79 + "…"),
        ("😀" * 80, "😀" * 80),
        ("😀" * 81, "😀" * 79 + "…"),
        ("x" * 39 + "\r\n" + "x" * 40, "x" * 39 + " " + "x" * 40),
        ("x" * 40 + "\r\n" + "x" * 40, "x" * 40 + " " + "x" * 38 + "…"),
        ("x" * 78 + "\n" * 100 + "xx", "x" * 78 + " …"),
        ("x" * 79 + "\n" + "x", "x" * 79 + "…"),
    ):
        assert preview_of(http, message) == preview


def test_has_note_says_whether_there_is_a_note_that_is_not_empty(http: TestClient) -> None:
    new = create(http)
    assert read_list_item(http, new)["has_note"] is False
    noted = {patch(http, create(http), agent_note=note)["id"] for note in NOTES}
    others = {patch(http, create(http), agent_note=note)["id"] for note in BLANK_NOTES}
    ticket = create(http)
    for note in *NOTES, *BLANK_NOTES, "x":
        add_note(http, ticket, note)
        assert read_list_item(http, ticket)["has_note"] is bool(note.strip(WHITE_SPACE))
    with_note, without = read_list(http, has_note=True), read_list(http, has_note=False)
    assert {item["id"] for item in with_note if item["has_note"]} == {*noted, ticket["id"]}
    assert {item["id"] for item in without if not item["has_note"]} == {*others, new["id"]}
    assert len(with_note) + len(without) == len(read_list(http)) == len(noted | others) + 2


def test_the_ticket_that_changed_last_comes_first(http: TestClient) -> None:
    tickets = [create(http) for _ in range(4)]
    for changes in {"status": "triaged"}, {"agent_note": "Called back"}, {"status": "closed"}:
        for ticket in tickets[2], tickets[0]:
            wait_for_the_next_millisecond()
            patch(http, ticket, **changes)
            assert read_list(http)[0]["id"] == ticket["id"]


def test_tickets_that_changed_in_the_same_millisecond_are_ordered_by_id(
    http: TestClient, step: str, monkeypatch: MonkeyPatch
) -> None:
    stop_clock(step, now(), monkeypatch)
    tickets = [create(http) for _ in range(5)]
    patch(http, tickets[1], status="triaged")
    add_note(http, tickets[3], "Called back")
    items = read_list(http)
    assert len({item["updated_at"] for item in items}) == 1
    by_id = sorted((ticket["id"] for ticket in tickets), reverse=True)
    assert [item["id"] for item in items] == by_id
    pages = [read_list(http, limit=2, skip=skip) for skip in (0, 2, 4)]
    assert [item for page in pages for item in page] == items


def test_a_list_has_20_items_where_no_limit_is_given_and_100_at_most(http: TestClient) -> None:
    tickets = create_at_once(http, 101)
    newest = [ticket["id"] for ticket in newest_first(tickets)]
    items = read_list(http, limit=100)
    assert [item["id"] for item in items] == newest[:100]
    assert [item["id"] for item in read_list(http, skip=100)] == newest[100:]
    assert read_list(http) == items[:20]
    for limit in 1, 2, 99:
        assert read_list(http, limit=limit) == items[:limit]


def test_pages_add_up_to_the_whole_list(http: TestClient) -> None:
    for _ in range(7):
        create(http)
    items = read_list(http)
    assert len({item["id"] for item in items}) == 7
    pages = [read_list(http, limit=3, skip=skip) for skip in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [item for page in pages for item in page] == items
    assert read_list(http, skip=4) == items[4:]


def test_limit_and_skip_have_bounds(http: TestClient) -> None:
    ticket = create(http)
    for accepted in {"limit": 1}, {"limit": 100}, {"skip": 0}:
        assert [item["id"] for item in read_list(http, **accepted)] == [ticket["id"]]
    assert read_list(http, skip=10_000) == []
    for name, values in ("limit", (0, 101, -1, "9" * 5_000)), ("skip", (-1, 10_001, "9" * 5_000)):
        for value in values:
            assert_refused(http.get("/tickets", params={name: value}), 422)


def test_filters_combine_with_each_other_and_with_pages(http: TestClient) -> None:
    for status in STATUSES * 2:
        patch(http, create(http), status=status)
        patch(http, create(http), status=status, agent_note="Called back")
    items = read_list(http)
    assert len(items) == 12
    for has_note in True, False:
        assert read_list(http, has_note=has_note) == [
            item for item in items if item["has_note"] is has_note
        ]
    for status in STATUSES:
        of_status = [item for item in items if item["status"] == status]
        assert len(of_status) == 4
        assert read_list(http, status=status) == of_status
        for has_note in True, False:
            both = [item for item in of_status if item["has_note"] is has_note]
            assert len(both) == 2
            assert read_list(http, status=status, has_note=has_note) == both
            page = read_list(http, status=status, has_note=has_note, limit=1, skip=1)
            assert page == both[1:]


def test_a_query_parameter_of_the_wrong_kind_is_422(http: TestClient) -> None:
    wrong = {
        "status": ["", "lost", "Open", "open ", "open,closed", "null", "\0"],
        "has_note": ["", "maybe", "null", "2"],
        "limit": ["", "ten", "1.5", "NaN", "null", "0x10"],
        "skip": ["", "ten", "1.5", "NaN", "null", "0x10"],
    }
    for name, values in wrong.items():
        assert_refused(http.get(f"/tickets?{name}"), 422)
        for value in values:
            assert_refused(http.get("/tickets", params={name: value}), 422)


def test_an_unknown_query_parameter_of_the_list_is_422(http: TestClient) -> None:
    create(http)
    for unknown in "staus=closed", "Status=open", "has-note=true", "page=2", "_id", "=", "%FF=1":
        assert_refused(http.get(f"/tickets?{unknown}"), 422)
        assert_refused(http.get(f"/tickets?status=open&{unknown}&limit=1"), 422)


def test_the_dashboard_always_counts_all_three(http: TestClient) -> None:
    assert read_dashboard(http) == {"open": 0, "triaged": 0, "closed": 0}
    tickets = [create(http) for _ in range(3)]
    assert read_dashboard(http) == {"open": 3, "triaged": 0, "closed": 0}
    for ticket in tickets:
        change_status(http, ticket, "closed")
    assert read_dashboard(http) == {"open": 0, "triaged": 0, "closed": 3}


def test_the_dashboard_counts_each_ticket_where_it_is_now(http: TestClient) -> None:
    first, second, third = create(http), create(http), create(http)
    change_status(http, first, "triaged")
    patch(http, second, status="triaged", agent_note="Called back")
    assert read_dashboard(http) == {"open": 1, "triaged": 2, "closed": 0}
    add_note(http, third, "Called back")
    change_status(http, first, "triaged")
    assert read_dashboard(http) == {"open": 1, "triaged": 2, "closed": 0}
    change_status(http, first, "open")
    patch(http, second, status="closed")
    change_status(http, second, "closed")
    assert read_dashboard(http) == {"open": 2, "triaged": 0, "closed": 1}
