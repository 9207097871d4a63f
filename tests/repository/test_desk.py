"""The page of the workbench, in a browser, beside the steps."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Locator, Page, Route, expect

from ..support.desk import DESK
from ..support.requests import (
    NEW_TICKET,
    UNKNOWN_ID,
    add_note,
    change_status,
    create,
    read,
    read_dashboard,
    read_list,
)
from ..support.servers import STEPS, Server, serve

pytestmark = pytest.mark.slow

PAGE_SIZE = 20

# Most tests are about the page alone. It sees no difference between the steps.
beside_each_step = pytest.mark.parametrize("desk", STEPS, indirect=True)

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module", params=STEPS[:1])
def desk(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A step with the page, and the tickets that earlier tests have left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MONGODB_URI", raising=False)
        with serve(DESK, STEP=request.param) as server:
            yield server


@contextmanager
def visit(browser: Browser, desk: Server) -> Iterator[Page]:
    """Open the page. Check that it has no error, and asks nobody except the step."""
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


def rows(page: Page) -> Locator:
    return page.locator("#rows > li")


def subjects(page: Page) -> Locator:
    return rows(page).get_by_role("button")


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


def answer_with(page: Page, url: str, answer: object) -> None:
    page.route(url, lambda route: route.fulfill(json=answer))


def assert_the_page_shows_what_the_service_answers(page: Page, desk: Server) -> None:
    items = read_list(desk.http, limit=PAGE_SIZE)
    expect(subjects(page)).to_have_text([item["subject"] for item in items])
    expect(rows(page).locator(".badge")).to_have_text([item["status"] for item in items])
    notes = ["note" if item["has_note"] else "" for item in items]
    expect(rows(page).locator(".noted")).to_have_text(notes)
    for status, count in read_dashboard(desk.http).items():
        term = page.get_by_role("term").filter(has_text=re.compile(f"^{status}$"))
        expect(term.locator("+ dd")).to_have_text(str(count))


@beside_each_step
def test_a_ticket_is_created_triaged_noted_and_closed(page: Page, desk: Server) -> None:
    message = "It burns.\n\n" + "Please advise. " * 10 + "Still here?"
    fill_in(page, customer="c-42", subject="Printer on fire", message=message)
    button(page, "Create").click()
    expect(said(page)).to_contain_text("the list shows it")
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
        expect(said(page)).to_have_text(re.compile(rf"^{done} in \d+ ms; the list shows it"))
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
    expect(said(page)).to_have_text("Refused. Write a subject.")
    subject = page.get_by_label("Subject")
    expect(subject).to_be_focused()
    expect(subject).to_have_accessible_description("Write a subject")
    expect(page.get_by_label("Customer")).to_have_value("c-42")
    expect(page.get_by_label("Message")).to_have_value("It burns.")
    assert len(read_list(desk.http, limit=100)) == number

    subject.fill("Named at last")
    button(page, "Create").click()
    expect(said(page)).to_contain_text("Created")
    page.get_by_role("textbox", name="Note").fill("x" * 20_001)
    button(page, "Save note").click()
    expect(said(page)).to_have_text("Refused. The note is too long: 20,000 characters at most.")
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


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_later_one(
    page: Page, desk: Server
) -> None:
    create(desk.http, subject="Still open")
    change_status(desk.http, create(desk.http, subject="Closed by now"), "closed")
    late: list[Route] = []
    page.route("**/tickets?status=open*", lambda route: late.append(route))
    status = page.get_by_role("combobox", name="Status")
    for chosen in "open", "closed":
        status.select_option(chosen)
    expect(subjects(page).first).to_have_text("Closed by now")
    with page.expect_request_finished(lambda request: request == late[0].request):
        late[0].continue_()
    page.evaluate("new Promise(requestAnimationFrame)")  # by then it would be drawn
    expect(subjects(page).first).to_have_text("Closed by now")


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


def test_the_address_says_what_is_shown_so_that_back_and_reload_work(
    page: Page, desk: Server
) -> None:
    for number in range(PAGE_SIZE + 1):
        ticket = create(desk.http, subject=f"By address {number}")
        add_note(desk.http, ticket, "Called back")
    page.get_by_role("combobox", name="Note").select_option("with")
    expect(subjects(page).first).to_have_text(f"By address {PAGE_SIZE}")
    button(page, "Next").click()
    expect(subjects(page).first).to_have_text("By address 0")
    button(page, "By address 0").click()
    expect(details(page, "By address 0")).to_be_visible()

    page.reload()
    expect(details(page, "By address 0")).to_be_visible()
    expect(subjects(page).first).to_have_text("By address 0")
    expect(page.get_by_role("combobox", name="Note")).to_have_value("true")
    page.go_back()
    expect(details(page, "By address 0")).to_be_hidden()
    expect(subjects(page).first).to_have_text("By address 0")
    page.go_back()
    expect(subjects(page).first).to_have_text(f"By address {PAGE_SIZE}")
    page.go_back()
    expect(page.get_by_role("combobox", name="Note")).to_have_value("")
    page.go_forward()
    page.go_forward()
    page.go_forward()
    expect(details(page, "By address 0")).to_be_visible()
    page.goto("/desk?ticket=new")
    expect(details(page, "New ticket")).to_be_visible()
    for ticket_id, reason in (
        (UNKNOWN_ID, "Ticket not found."),
        ("nonsense", "There is no such ticket."),
    ):
        page.goto(f"/desk?ticket={ticket_id}")
        expect(said(page)).to_have_text(reason)


def test_times_are_relative_and_tell_the_exact_one(page: Page, desk: Server) -> None:
    ticket = create(desk.http, subject="A while ago")
    open_ticket(page, "A while ago")
    created = details(page, "A while ago").locator("time").first
    expect(created).to_have_text("just now")
    expect(created).to_have_attribute("datetime", ticket["created_at"])
    expect(created).to_have_attribute("title", re.compile(r"^\w+ \d+, \d{4} at \d+:\d\d:\d\d"))
    for age, text in (
        (timedelta(minutes=3), "3 minutes ago"),
        (timedelta(hours=2), "2 hours ago"),
        (timedelta(days=1), "1 day ago"),
    ):
        past = datetime.fromisoformat(ticket["created_at"]) - age
        answer_with(page, "**/tickets/*", ticket | {"created_at": past.isoformat()})
        page.reload()
        expect(created).to_have_text(text)


def test_what_changes_nothing_says_so(page: Page, desk: Server) -> None:
    ticket = create(desk.http, subject="The same again")
    add_note(desk.http, ticket, "Called back")
    change_status(desk.http, ticket, "closed")
    open_ticket(page, "The same again")
    for name, reason in (
        ("Close", "It was closed already"),
        ("Save note", "It is the same note"),
    ):
        button(page, name).click()
        expect(said(page)).to_have_text(
            re.compile(rf"^Only its time has changed\. {reason}\. Answered in \d+ ms; the list ")
        )
    page.get_by_role("textbox", name="Note").fill("Called twice")
    button(page, "Save note").click()
    expect(said(page)).to_have_text(re.compile("^Note saved in"))


def test_a_note_that_is_not_saved_outlives_a_look_at_another_ticket(
    page: Page, desk: Server
) -> None:
    for subject in "First", "Second":
        create(desk.http, subject=subject)
    open_ticket(page, "First")
    note = page.get_by_role("textbox", name="Note")
    note.fill("Half a thought")
    button(page, "Second").click()
    expect(details(page, "Second")).to_be_visible()
    expect(note).to_have_value("")
    expect(page.get_by_text("Not saved yet")).to_be_hidden()
    button(page, "First").click()
    expect(note).to_have_value("Half a thought")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    button(page, "Save note").click()
    expect(said(page)).to_contain_text("Note saved")
    expect(page.get_by_text("Not saved yet")).to_be_hidden()


def test_the_actions_stand_above_a_long_message(page: Page, desk: Server) -> None:
    create(desk.http, subject="A long story", message="And then. " * 1_000)
    open_ticket(page, "A long story")
    for name in "Triage", "Close", "Reopen":
        expect(button(page, name)).to_be_in_viewport()


@beside_each_step
def test_in_memory_the_page_says_that_the_xray_needs_a_mongodb(page: Page) -> None:
    expect(page.get_by_text("The tickets are in memory.")).to_be_visible()
    expect(page.get_by_role("switch")).to_be_hidden()
    expect(button(page, "Pause the projector")).to_be_hidden()


def test_times_are_compared_as_times(page: Page, desk: Server) -> None:
    ticket = create(desk.http, subject="On the second")
    open_ticket(page, "On the second")
    of_ticket, of_item = "2026-01-01T00:00:05Z", "2026-01-01T00:00:05.001000Z"
    answer_with(page, "**/tickets/*", ticket | {"updated_at": of_ticket})
    [item] = read_list(desk.http, limit=1)
    answer_with(page, "**/tickets?limit=100", [item | {"updated_at": of_item}])
    button(page, "Triage").click()
    expect(said(page)).to_contain_text("the list shows it")


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
    expect(page).to_have_title("Step 1: CRUD - support desk")


def test_a_keyboard_is_enough(page: Page, desk: Server) -> None:
    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    def go_to(name: str, key: str = "Tab") -> None:
        focused = page.locator(":focus")
        while focused.count() == 0 or focused.inner_text() != name:
            press(key)

    go_to("New ticket")
    press("Enter")
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
    go_to("Back to the list", "Shift+Tab")
    press("Enter")
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
    button(page, "Back to the list").click()
    button(page, "New ticket").click()
    button(page, "Create").click()
    expect(said(page)).to_contain_text("Refused. Say which customer")
    assert_usable()


def test_a_phone_shows_the_list_or_a_ticket(page: Page, desk: Server) -> None:
    create(desk.http, subject="In a pocket")
    page.set_viewport_size({"width": 375, "height": 800})
    open_ticket(page, "In a pocket")
    expect(rows(page).first).to_be_hidden()
    button(page, "Back to the list").click()
    expect(rows(page).first).to_be_visible()
    expect(details(page, "In a pocket")).to_be_hidden()


@beside_each_step
def test_the_page_is_no_part_of_a_step(desk: Server) -> None:
    app = importlib.import_module(f"{STEPS[0]}.main").app
    assert TestClient(app).get("/desk").status_code == 404
    assert desk.http.get("/openapi.json").json() == app.openapi()
