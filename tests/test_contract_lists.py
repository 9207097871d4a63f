"""The contract: the list of tickets, its items, order, pages and filters, and the dashboard."""

from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient

from .requests import (
    add_note,
    all_commands,
    assert_refused,
    change_status,
    create,
    patch,
    read_dashboard,
    read_list,
    read_list_item,
    wait_for_the_next_millisecond,
)

STATUSES = ("open", "triaged", "closed")
UNSEEN = " \t\n\v\f\r"
SEEN = "\0\x1c\x1f\u0085\u00a0\u2028\u200b\u3000\ufeff😀x"
UNSEEN_NOTES = ["", *UNSEEN, UNSEEN, " " * 20_000]
SEEN_NOTES = [*SEEN, *(f"\n{each}\t" for each in SEEN), UNSEEN + ".", "\n" * 19_999 + "x"]


def preview_of(http: TestClient, message: str) -> str:
    return str(read_list_item(http, create(http, message=message))["preview"])


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


def test_a_preview_is_trimmed(http: TestClient) -> None:
    for space in " \t\n\v\f\r\x1c\x1f\u0085\u00a0\u2028\u3000":
        assert preview_of(http, f"{space}a{space * 2}") == "a"
    for character in "\0\u200b\ufeff":
        assert preview_of(http, f" {character}a{character}\n") == f"{character}a{character}"


def test_a_preview_shows_each_line_break_as_one_space(http: TestClient) -> None:
    for message, preview in (
        ("a\nb", "a b"),
        ("a\rb", "a b"),
        ("a\r\nb", "a b"),
        ("a\n\nb", "a  b"),
        ("a\n\rb", "a  b"),
        ("a\r\r\nb", "a  b"),
        ("a\r\n\r\nb", "a  b"),
        ("a \n b", "a   b"),
        ("\r\na\nb\r\n", "a b"),
    ):
        assert preview_of(http, message) == preview


def test_a_preview_leaves_all_other_characters_inside_alone(http: TestClient) -> None:
    for character in "\t\v\f\x1c\0\u0085\u00a0\u2028\u2029":
        assert preview_of(http, f"a{character}{character}b") == f"a{character}{character}b"


def test_a_preview_longer_than_80_characters_ends_in_an_ellipsis_after_79(
    http: TestClient,
) -> None:
    for message, preview in (
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ("x" * 20_000, "x" * 79 + "…"),
        ("😀" * 80, "😀" * 80),
        ("😀" * 81, "😀" * 79 + "…"),
        (f" \n{'x' * 80}\n ", "x" * 80),
        (f" \n{'x' * 81}\n ", "x" * 79 + "…"),
        ("x" * 39 + "\r\n" + "x" * 40, "x" * 39 + " " + "x" * 40),
        ("x" * 40 + "\r\n" + "x" * 40, "x" * 40 + " " + "x" * 38 + "…"),
        ("x" * 78 + "\n" + "xx", "x" * 78 + " …"),
        ("x" * 79 + "\n" + "x", "x" * 79 + "…"),
    ):
        assert preview_of(http, message) == preview


def test_has_note_says_whether_the_note_shows_anything(http: TestClient) -> None:
    ticket = create(http)
    assert read_list_item(http, ticket)["has_note"] is False
    for note in SEEN_NOTES:
        add_note(http, ticket, note)
        assert read_list_item(http, ticket)["has_note"] is True
    for note in UNSEEN_NOTES:
        add_note(http, ticket, "x")
        add_note(http, ticket, note)
        assert read_list_item(http, ticket)["has_note"] is False


def test_the_has_note_filter_agrees_with_the_items(http: TestClient) -> None:
    noted = {patch(http, create(http), agent_note=note)["id"] for note in SEEN_NOTES}
    others = {patch(http, create(http), agent_note=note)["id"] for note in UNSEEN_NOTES}
    others.add(create(http)["id"])
    assert {item["id"] for item in read_list(http, has_note=True, limit=100)} == noted
    assert {item["id"] for item in read_list(http, has_note=False, limit=100)} == others


def test_the_ticket_that_changed_last_comes_first(http: TestClient) -> None:
    tickets = [create(http) for _ in range(5)]
    for changes in {"status": "triaged"}, {"agent_note": "Called back"}, {"status": "closed"}:
        for ticket in tickets[3], tickets[0], tickets[2]:
            wait_for_the_next_millisecond()
            patch(http, ticket, **changes)
            assert read_list(http)[0]["id"] == ticket["id"]


def test_tickets_that_changed_in_the_same_millisecond_are_ordered_by_id(http: TestClient) -> None:
    def create_and_note(number: int) -> None:
        ticket = create(http)
        if number % 2:
            add_note(http, ticket, "Called back")

    # Many at once, so that some do share a millisecond.
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(create_and_note, range(60)))
    items = read_list(http, limit=100)
    order = [(item["updated_at"], item["id"]) for item in items]
    assert len(order) == 60
    assert order == sorted(order, reverse=True)


def test_a_list_has_20_items_where_no_limit_is_given_and_100_at_most(http: TestClient) -> None:
    for _ in range(101):
        create(http)
    items = read_list(http, limit=100)
    assert len(items) == 100
    assert read_list(http) == items[:20]
    for limit in 1, 2, 99:
        assert read_list(http, limit=limit) == items[:limit]


def test_pages_add_up_to_the_whole_list(http: TestClient) -> None:
    for _ in range(10):
        create(http)
    items = read_list(http)
    assert len({item["id"] for item in items}) == 10
    pages = [read_list(http, limit=3, skip=skip) for skip in (0, 3, 6, 9, 12)]
    assert [len(page) for page in pages] == [3, 3, 3, 1, 0]
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
    for _ in range(3):
        for status in STATUSES:
            patch(http, create(http), status=status)
            patch(http, create(http), status=status, agent_note="Called back")
    items = read_list(http)
    assert len(items) == 18
    for status in STATUSES:
        of_status = [item for item in items if item["status"] == status]
        assert len(of_status) == 6
        assert read_list(http, status=status) == of_status
        for has_note in True, False:
            both = [item for item in of_status if item["has_note"] is has_note]
            assert len(both) == 3
            assert read_list(http, status=status, has_note=has_note) == both
            page = read_list(http, status=status, has_note=has_note, limit=1, skip=1)
            assert page == both[1:2]


def test_a_query_parameter_of_the_wrong_kind_is_invalid(http: TestClient) -> None:
    wrong = {
        "status": ["lost", "Open", "open ", "open,closed", "null", "\0"],
        "has_note": ["maybe", "null", "2"],
        "limit": ["ten", "1.5", "NaN", "null", "0x10"],
        "skip": ["ten", "1.5", "NaN", "null", "0x10"],
    }
    for name, values in wrong.items():
        for value in values:
            assert_refused(http.get("/tickets", params={name: value}), 422)


def test_an_empty_query_parameter_is_invalid(http: TestClient) -> None:
    for name in "status", "has_note", "limit", "skip":
        assert_refused(http.get(f"/tickets?{name}="), 422)
        assert_refused(http.get(f"/tickets?{name}"), 422)


def test_unknown_query_parameters_are_ignored(http: TestClient) -> None:
    ticket, _ = create(http), create(http)
    unknown = "sort=subject&page=2&Limit=0&has-note=&q=%00"
    for path in "/tickets", f"/tickets/{ticket['id']}", "/dashboard":
        assert http.get(f"{path}?{unknown}").json() == http.get(path).json()
    for method, path, body in all_commands(ticket["id"]):
        assert http.request(method, f"{path}?limit=0&status=&{unknown}", json=body).is_success


def test_the_dashboard_always_counts_all_three(http: TestClient) -> None:
    assert read_dashboard(http) == {"open": 0, "triaged": 0, "closed": 0}
    tickets = [create(http) for _ in range(4)]
    assert read_dashboard(http) == {"open": 4, "triaged": 0, "closed": 0}
    for ticket in tickets:
        change_status(http, ticket, "closed")
    assert read_dashboard(http) == {"open": 0, "triaged": 0, "closed": 4}


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
