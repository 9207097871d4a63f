"""The page of the workbench, in a browser, beside the steps."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Locator, Page, expect

from ..support.requests import (
    NEW_TICKET,
    add_note,
    change_status,
    create,
    read,
    read_dashboard,
    read_list,
)
from ..support.servers import STEPS, Server, running, serve, wait_until

pytestmark = pytest.mark.slow

DESK = "workbench.desk:app"
PAGE_SIZE = 20

# Most tests are about the page alone, which sees no difference between the steps.
beside_each_step = pytest.mark.parametrize("desk", STEPS, indirect=True)

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module", params=STEPS[:1])
def desk(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A step with the page beside its routes, and what the tests before this one left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MONGODB_URI", raising=False)
        with serve(DESK, STEP=request.param) as server:
            yield server


@contextmanager
def visit(browser: Browser, desk: Server) -> Iterator[Page]:
    """Open the page, and see to it that it has no error and asks nobody but the step."""
    service = str(desk.http.base_url)
    asked: list[str] = []
    errors: list[object] = []
    with browser.new_page(base_url=service) as page:
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        page.goto("/desk")
        expect(page.locator("#position")).not_to_be_empty()
        yield page
    assert not errors
    assert not [url for url in asked if not url.startswith(service)]


@pytest.fixture
def page(browser: Browser, desk: Server) -> Iterator[Page]:
    with visit(browser, desk) as page:
        yield page


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def said(page: Page) -> Locator:
    return page.get_by_role("status")


def subjects(page: Page) -> Locator:
    return page.get_by_role("rowheader").get_by_role("button")


def details(page: Page, subject: str) -> Locator:
    return page.get_by_role("region", name=subject, exact=True)


def fill_in(page: Page, **fields: str) -> None:
    button(page, "New ticket").click()
    for label, text in fields.items():
        page.get_by_label(label.capitalize()).fill(text)


def open_ticket(page: Page, subject: str) -> None:
    button(page, "Refresh").click()
    button(page, subject).click()
    expect(details(page, subject)).to_be_visible()


def assert_the_page_shows_what_the_service_answers(page: Page, desk: Server) -> None:
    items = read_list(desk.http, limit=PAGE_SIZE)
    expect(subjects(page)).to_have_text([item["subject"] for item in items])
    rows = page.locator("tbody tr")
    expect(rows.locator("td:nth-of-type(1)")).to_have_text([item["status"] for item in items])
    notes = ["yes" if item["has_note"] else "no" for item in items]
    expect(rows.locator("td:nth-of-type(2)")).to_have_text(notes)
    for status, count in read_dashboard(desk.http).items():
        term = page.get_by_role("term").filter(has_text=re.compile(f"^{status}$"))
        expect(term.locator("+ dd")).to_have_text(str(count))


def wait_for_counts(desk: Server, counts: dict[str, int]) -> None:
    wait_until(lambda: read_dashboard(desk.http) == counts)


@beside_each_step
def test_a_ticket_is_created_triaged_noted_and_closed(page: Page, desk: Server) -> None:
    message = "It burns.\n\n" + "Please advise. " * 10 + "Still here?"
    fill_in(page, customer="c-42", subject="Printer on fire", message=message)
    button(page, "Create").click()
    expect(said(page)).to_contain_text("the list followed")
    [created] = read_list(desk.http, limit=1)
    ticket = read(desk.http, created)
    assert (ticket["customer_id"], ticket["message"]) == ("c-42", message)
    opened = details(page, "Printer on fire")
    for shown in "open", "c-42":
        expect(opened.get_by_text(shown, exact=True)).to_be_visible()
    assert opened.get_by_text("It burns.").inner_text() == message  # with its lines
    assert_the_page_shows_what_the_service_answers(page, desk)

    note_field = page.get_by_role("textbox", name="Note")
    note_field.fill("Told them to leave the room.")
    for name, done, status, note in [
        ("Triage", "Triaged", "triaged", None),
        ("Save note", "Note saved", "triaged", "Told them to leave the room."),
        ("Close", "Closed", "closed", "Told them to leave the room."),
    ]:
        button(page, name).click()
        expect(said(page)).to_have_text(re.compile(rf"^{done} in \d+ ms; the list followed"))
        expect(opened.get_by_text(status, exact=True)).to_be_visible()
        ticket = read(desk.http, ticket)
        assert (ticket["status"], ticket["agent_note"]) == (status, note)
        expect(note_field).to_have_value("Told them to leave the room.")
        assert_the_page_shows_what_the_service_answers(page, desk)


def test_a_closed_ticket_that_is_reopened_says_why_it_stays_closed(
    page: Page, desk: Server
) -> None:
    ticket = create(desk.http, subject="Closed for good")
    change_status(desk.http, ticket, "closed")
    before = read(desk.http, ticket)
    open_ticket(page, "Closed for good")
    button(page, "Reopen").click()
    expect(said(page)).to_have_text("Refused. Closed tickets cannot be reopened.")
    expect(details(page, "Closed for good").get_by_text("closed", exact=True)).to_be_visible()
    assert read(desk.http, ticket) == before


def test_a_field_that_is_refused_is_named_and_everything_typed_is_kept(
    page: Page, desk: Server
) -> None:
    number = len(read_list(desk.http, limit=100))
    fill_in(page, customer="c-42", subject=" ", message="It burns.")
    button(page, "Create").click()
    reason = "String should have at least 1 character"
    expect(said(page)).to_have_text(f"Refused. subject: {reason}.")
    subject = page.get_by_label("Subject")
    expect(subject).to_be_focused()
    expect(subject).to_have_accessible_description(reason)
    expect(page.get_by_label("Customer")).to_have_value("c-42")
    expect(page.get_by_label("Message")).to_have_value("It burns.")
    assert len(read_list(desk.http, limit=100)) == number

    subject.fill("Named at last")
    button(page, "Create").click()
    expect(said(page)).to_contain_text("Created")
    page.get_by_role("textbox", name="Note").fill("x" * 20_001)
    button(page, "Save note").click()
    expect(said(page)).to_have_text("Refused. note: String should have at most 20000 characters.")
    button(page, "New ticket").click()
    for label in "Customer", "Subject", "Message":
        expect(page.get_by_label(label)).to_have_value("")
        expect(page.get_by_label(label)).to_have_accessible_description("")


def test_the_filters_show_what_they_say(page: Page, desk: Server) -> None:
    for status in "open", "triaged", "closed":
        for note in "", "Called back":
            ticket = create(desk.http, subject=f"{status} with note {note!r}")
            add_note(desk.http, ticket, note)
            change_status(desk.http, ticket, status)
    for status in "any", "open", "triaged", "closed":
        page.get_by_role("combobox", name="Status").select_option(status)
        for note in "any", "with", "without":
            page.get_by_role("combobox", name="Note").select_option(note)
            query: dict[str, str | bool] = {} if status == "any" else {"status": status}
            if note != "any":
                query["has_note"] = note == "with"
            items = read_list(desk.http, limit=PAGE_SIZE, **query)
            expect(subjects(page)).to_have_text([item["subject"] for item in items])


def test_the_pages_show_every_ticket_once(page: Page, desk: Server) -> None:
    for number in range(2 * PAGE_SIZE - len(read_list(desk.http, limit=100)) % PAGE_SIZE):
        create(desk.http, subject=f"Ticket number {number}")
    items = read_list(desk.http, limit=100)
    pages = [items[start : start + PAGE_SIZE] for start in range(0, len(items), PAGE_SIZE)]
    button(page, "Refresh").click()
    for each in pages:
        expect(subjects(page)).to_have_text([item["subject"] for item in each])
        expect(button(page, "Next")).to_be_enabled(enabled=each != pages[-1])
        if each != pages[-1]:
            button(page, "Next").click()
    for each in reversed(pages[:-1]):
        button(page, "Previous").click()
        expect(subjects(page)).to_have_text([item["subject"] for item in each])
    expect(button(page, "Previous")).to_be_disabled()
    button(page, "Next").click()
    expect(page.locator("#position")).to_have_text(re.compile("^21 to "))
    page.get_by_role("combobox", name="Status").select_option("open")
    expect(page.locator("#position")).to_have_text(re.compile("^1 to "))


@beside_each_step
def test_every_command_says_whether_to_wait_for_the_projection(page: Page) -> None:
    for preference in None, "respond-async":
        page.get_by_role("switch").set_checked(preference is not None)
        fill_in(page, customer="c-42", subject="In a hurry", message="Now.")
        for name, done in ("Create", "Created"), ("Triage", "Triaged"), ("Save note", "Note saved"):
            with page.expect_request(lambda request: request.method == "POST") as command:
                button(page, name).click()
            assert command.value.header_value("Prefer") == preference
            expect(said(page)).to_have_text(re.compile(f"^{done} in .* the list followed at once"))


def test_the_page_tells_how_long_the_list_of_step_4_took_to_follow(
    browser: Browser, database: str, tmp_path: Path
) -> None:
    # Step 4 without a projector, to be started when the page waits for one.
    tmp_path.joinpath("unprojected").mkdir()
    tmp_path.joinpath("unprojected", "main.py").write_text(
        "from step_04_full_cqrs.main import command_routes, create_app, query_routes\n"
        "app = create_app(command_routes, query_routes)\n"
    )
    with serve(DESK, STEP="unprojected", PYTHONPATH=str(tmp_path)) as desk:
        create(desk.http)
        with running("step_04_full_cqrs.projector"):
            wait_for_counts(desk, {"open": 1, "triaged": 0, "closed": 0})  # the first build's end
        with visit(browser, desk) as page:
            page.get_by_role("switch").check()
            fill_in(page, customer="c-42", subject="Who projects me?", message="Nobody yet.")
            for name, done, counts in (
                ("Create", "Created", {"open": 2, "triaged": 0, "closed": 0}),
                ("Close", "Closed", {"open": 1, "triaged": 0, "closed": 1}),
            ):
                button(page, name).click()
                expect(said(page)).to_have_text(re.compile(f"^{done} in .* waiting for the list"))
                before = read_list(desk.http)
                with running("step_04_full_cqrs.projector"):
                    expect(said(page)).to_have_text(re.compile(r"the list followed after \d+ ms"))
                    wait_for_counts(desk, counts)
                assert read_list(desk.http) != before
                button(page, "Refresh").click()
                assert_the_page_shows_what_the_service_answers(page, desk)


def test_times_are_compared_as_times(page: Page, desk: Server) -> None:
    ticket = create(desk.http, subject="On the second")
    open_ticket(page, "On the second")
    of_ticket, of_item = "2026-01-01T00:00:05Z", "2026-01-01T00:00:05.001000Z"
    page.route("**/tickets/*", lambda route: route.fulfill(json=ticket | {"updated_at": of_ticket}))
    [item] = read_list(desk.http, limit=1)
    page.route(
        "**/tickets?limit=100", lambda route: route.fulfill(json=[item | {"updated_at": of_item}])
    )
    button(page, "Triage").click()
    expect(said(page)).to_contain_text("the list followed at once")


def test_what_was_typed_is_kept_while_the_service_is_out_of_reach(page: Page, desk: Server) -> None:
    fill_in(page, customer="c-42", subject="Anybody there?", message="Hello?")
    page.context.set_offline(True)
    button(page, "Create").click()
    expect(said(page)).to_contain_text("The service does not answer.")
    expect(said(page)).to_contain_text("What you typed is still here.")
    button(page, "Refresh").click()
    expect(said(page)).to_have_text("The service does not answer.")
    page.context.set_offline(False)

    refusal = {"detail": "MongoDB is out of reach"}
    page.route("**/tickets", lambda route: route.fulfill(status=503, json=refusal))
    button(page, "Create").click()
    expect(said(page)).to_contain_text("MongoDB is out of reach.")
    expect(said(page)).to_contain_text("the change may have been made")
    page.unroute("**/tickets")

    button(page, "Create").click()
    expect(said(page)).to_contain_text("Created")
    [created] = read_list(desk.http, limit=1)
    assert created["subject"] == "Anybody there?"
    assert created["preview"] == "Hello?"


def test_a_ticket_that_was_changed_is_shown_so_even_if_the_list_is_out_of_reach(
    page: Page, desk: Server
) -> None:
    create(desk.http, subject="Changed in the dark")
    open_ticket(page, "Changed in the dark")
    refusal = {"detail": "MongoDB is out of reach"}
    page.route("**/tickets?*", lambda route: route.fulfill(status=503, json=refusal))
    button(page, "Close").click()
    expect(said(page)).to_have_text(
        re.compile(r"^Closed in \d+ ms; but then: MongoDB is out of reach\.$")
    )
    opened = details(page, "Changed in the dark")
    expect(opened.get_by_text("closed", exact=True)).to_be_visible()


def test_a_note_that_is_being_typed_outlives_a_change_of_the_status(
    page: Page, desk: Server
) -> None:
    create(desk.http, subject="Half a note")
    open_ticket(page, "Half a note")
    note = page.get_by_role("textbox", name="Note")
    note.fill("To be contin")
    button(page, "Triage").click()
    expect(said(page)).to_contain_text("Triaged")
    expect(note).to_have_value("To be contin")


def test_what_people_write_is_shown_as_text(page: Page, desk: Server) -> None:
    markup = "<img src=x onerror=\"document.title = 'Broken'\"> & <b>more</b>"
    ticket = create(desk.http, customer_id=markup, subject=markup, message=markup)
    add_note(desk.http, ticket, f"</textarea>{markup}")
    open_ticket(page, markup)
    expect(page.get_by_text(markup, exact=True)).to_have_count(5)
    expect(page.get_by_role("textbox", name="Note")).to_have_value(f"</textarea>{markup}")
    expect(page.locator("main :is(img, b)")).to_have_count(0)
    expect(page).to_have_title("Support desk")


def test_a_keyboard_is_enough(page: Page, desk: Server) -> None:
    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    press("Tab", "Enter")
    expect(page.get_by_role("heading", name="New ticket")).to_be_focused()
    for text in "c-42", "By keyboard", "No mouse here":
        press("Tab")
        page.keyboard.type(text)
    press("Tab", "Enter")
    expect(page.get_by_role("heading", name="By keyboard")).to_be_focused()
    expect(said(page)).to_contain_text("Created")
    press("Tab", "Tab", "Enter")
    expect(said(page)).to_contain_text("Closed")
    press("Tab", "Tab")
    page.keyboard.type("Typed")
    press("Tab", "Enter")
    expect(said(page)).to_contain_text("Note saved")
    press("Tab", "Enter")
    expect(button(page, "By keyboard")).to_be_focused()
    [item] = read_list(desk.http, limit=1)
    ticket = read(desk.http, item)
    assert (ticket["subject"], ticket["status"], ticket["agent_note"]) == (
        "By keyboard",
        "closed",
        "Typed",
    )


def test_a_list_that_is_drawn_anew_leaves_the_focus_where_it_is(page: Page, desk: Server) -> None:
    create(desk.http, subject="In focus")
    button(page, "Refresh").click()
    create(desk.http, subject="On top")
    button(page, "In focus").focus()
    page.evaluate("document.forms.filters.requestSubmit()")
    expect(subjects(page).first).to_have_text("On top")
    expect(button(page, "In focus")).to_be_focused()


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 1280)])
def test_no_view_has_an_accessibility_finding_or_is_wider_than_the_screen(
    page: Page, desk: Server, scheme: str, width: int
) -> None:
    def assert_usable() -> None:
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width

    for status in "open", "triaged", "closed":
        long_word = f"{status}-{'x' * 190}"
        ticket = create(desk.http, **NEW_TICKET | {"subject": long_word, "message": "y" * 2_000})
        change_status(desk.http, ticket, status)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    button(page, "Refresh").click()
    expect(subjects(page).first).to_have_text(long_word)
    assert_usable()
    subjects(page).first.click()
    button(page, "Reopen").click()
    expect(said(page)).to_contain_text("Refused")
    assert_usable()
    button(page, "New ticket").click()
    button(page, "Create").click()
    expect(said(page)).to_contain_text("Refused. customer_id")
    assert_usable()


def test_a_phone_shows_the_list_or_a_ticket(page: Page, desk: Server) -> None:
    create(desk.http, subject="In a pocket")
    page.set_viewport_size({"width": 375, "height": 800})
    open_ticket(page, "In a pocket")
    expect(page.get_by_role("table")).to_be_hidden()
    button(page, "Back to the list").click()
    expect(page.get_by_role("table")).to_be_visible()
    expect(details(page, "In a pocket")).to_be_hidden()


@beside_each_step
def test_the_page_is_no_part_of_a_step(desk: Server) -> None:
    app = importlib.import_module(f"{STEPS[0]}.main").app
    assert TestClient(app).get("/desk").status_code == 404
    assert desk.http.get("/openapi.json").json() == app.openapi()
