"""What the page shows of a step at work: the path of a request, and a read side that is behind."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FloatRect, Locator, Page, Response, Route, expect
from pymongo import MongoClient

from workbench.mongod import free_port, start_mongod

from ..support.desk import DESK, projector_of, state_of
from ..support.requests import Json, add_note, change_status, create, read_dashboard
from ..support.servers import STEPS, Server, serve, wait_until
from .test_desk import button, fill_in, open_ticket, rows, said, subjects, visit

pytestmark = pytest.mark.slow

STORES = {"tickets": "tickets", "ticket_reads": "rows", "dashboard": "counts"}
# The legs of each request, in each step.
COMMAND = {
    1: {"client-main", "main-tickets"},
    2: {"client-commands", "commands-tickets"},
    3: {"client-commands", "commands-tickets", "commands-rows"},
    4: {"client-commands", "commands-tickets", "tickets-log"},
}
PROJECTION = {"log-projector", "projector-rows", "projector-counts"}
TICKET = {
    1: {"tickets-main", "main-client"},
    2: {"tickets-queries", "queries-client"},
    3: {"tickets-queries", "queries-client"},
    4: {"tickets-queries", "queries-client"},
}
LIST = TICKET | {step: {"rows-queries", "queries-client"} for step in (3, 4)}
DASHBOARD = LIST | {4: {"counts-queries", "queries-client"}}

in_step_4 = pytest.mark.parametrize("desk", STEPS[3:], indirect=True)


@pytest.fixture(scope="module", params=STEPS)
def desk(
    request: pytest.FixtureRequest, mongod: str, mongo: MongoClient[dict[str, Any]]
) -> Iterator[Server]:
    """Each step as `make run` serves it, on its own database, with a few long tickets in it."""
    name = f"test_{uuid4().hex}"
    with serve_as_run_does(request.param, mongod, name) as server:
        for number in range(5):
            create(server.http, subject=f"Ticket {number}", message="Please help. " * 500)
        yield server
    mongo.drop_database(name)
    mongo.drop_database(f"{name}_read")


@contextmanager
def serve_as_run_does(step: str, mongodb_uri: str, database: str) -> Iterator[Server]:
    projector = "apart" if step == STEPS[3] else ""
    with serve(
        DESK,
        STEP=step,
        PROJECTOR=projector,
        MONGODB_URI=mongodb_uri,
        MONGODB_DATABASE=database,
    ) as server:
        yield server


@pytest.fixture
def page(browser: Browser, desk: Server) -> Iterator[Page]:
    with visit(browser, desk) as page:
        yield page
    if number_of(desk) == 4:
        desk.http.put("/desk/projector", json={"paused": False}).raise_for_status()


def number_of(desk: Server) -> int:
    return int(state_of(desk)["step"])


def legs(page: Page) -> set[str]:
    """The legs that are lit."""
    lit = page.locator(".label.lit").evaluate_all("all => all.map((each) => each.dataset.leg)")
    return set(lit)


def expect_legs(page: Page, expected: set[str]) -> None:
    """Wait until exactly these legs are lit."""
    page.wait_for_function(
        """expected => {
            const labels = [...document.querySelectorAll(".label.lit")];
            const lit = labels.map((each) => each.dataset.leg);
            return String(lit.sort()) === String(expected.sort());
        }""",
        arg=sorted(expected),
    )
    assert legs(page) == expected


def figures(page: Page, leg: str) -> tuple[float, float]:
    """The milliseconds and KB that stand on a leg."""
    text = page.locator(f"[data-leg={leg}]").inner_text().replace(",", "")
    found = [re.search(rf"([\d.]+) {unit}", text) for unit in ("ms", "KB")]
    milliseconds, kilobytes = (float(each[1]) if each else 0 for each in found)
    return milliseconds, kilobytes


def sums(commands: list[Json]) -> dict[str, tuple[float, float]]:
    """Milliseconds and KB of an X-ray, by what the commands worked on."""
    by_store = defaultdict[str, list[Json]](list)
    for command in commands:
        is_log = command["command"] == "getMore"
        by_store["log" if is_log else STORES[command["collection"]]].append(command)
    return {
        store: (
            sum(each["milliseconds"] for each in each_of),
            sum(each["bytes_returned"] for each in each_of) / 1000,
        )
        for store, each_of in by_store.items()
    }


def wait_for_the_figures_of(page: Page, desk: Server, answers: list[Response]) -> None:
    """Wait until the lit legs show the X-ray of one of these requests.

    The page may have sent another one of the kind at the same time.
    """
    numbers = [each.header_value("X-Ray") for each in answers]
    xrays = [desk.http.get(f"/desk/requests/{number}").json() for number in numbers]
    wait_until(lambda: any(shows(page, xray["commands"]) for xray in xrays))


def shows(page: Page, commands: list[Json]) -> bool:
    for store, expected in sums(commands).items():
        [leg] = [each for each in legs(page) if store in each.split("-") and "log" not in each]
        if figures(page, leg) != pytest.approx(expected, abs=0.051):
            return False
    return True


def wait_for_figures(page: Page, leg: str, expected: tuple[float, float]) -> None:
    rounded = pytest.approx(expected, abs=0.051)
    wait_until(lambda: figures(page, leg) == rounded)


def recent(page: Page, name: str) -> Locator:
    """The latest request of this name, among the last requests."""
    named = page.get_by_text(name, exact=True)
    return page.get_by_role("list").get_by_role("button").filter(has=named).first


def test_each_request_lights_its_way_with_the_figures_of_the_xray(page: Page, desk: Server) -> None:
    step = number_of(desk)
    ticket = create(desk.http, subject="On its way")
    answers: list[Response] = []
    page.on("response", lambda response: answers.append(response))

    def answers_to(path: str) -> list[Response]:
        return [each for each in answers if re.search(path, each.url)]

    button(page, "Refresh").click()
    expect(subjects(page).first).to_have_text("On its way")
    expect_legs(page, LIST[step])
    wait_for_the_figures_of(page, desk, answers_to(r"/tickets\?limit=21"))

    button(page, "On its way").click()
    expect_legs(page, TICKET[step])
    wait_for_the_figures_of(page, desk, answers_to(f"/tickets/{ticket['id']}$"))

    button(page, "Close").click()
    expect(said(page)).to_contain_text("the list shows it")
    expect_legs(page, COMMAND[step] | (PROJECTION if step == 4 else set()))
    if step == 4:
        [*_, projection] = desk.http.get("/desk/state").json()["projections"]
        shown = sums(projection["commands"])
        for leg, store in zip(sorted(PROJECTION), ("log", "counts", "rows"), strict=True):
            wait_for_figures(page, leg, shown[store])
    recent(page, "GET /tickets").click()
    expect_legs(page, LIST[step])
    recent(page, "POST /tickets/…/status").click()  # its projection is shown too
    expect_legs(page, COMMAND[step] | (PROJECTION if step == 4 else set()))
    wait_for_the_figures_of(page, desk, answers_to("/status$"))

    recent(page, "GET /dashboard").click()
    expect_legs(page, DASHBOARD[step])
    wait_for_the_figures_of(page, desk, answers_to("/dashboard$"))
    looked_at = page.locator(".label.lit", has_text="looked at")
    expect(looked_at).to_have_count(0 if step == 4 else 1)


def test_what_the_rule_forbids_comes_no_further_than_the_tickets(page: Page, desk: Server) -> None:
    step = number_of(desk)
    ticket = create(desk.http, subject="Closed for good")
    change_status(desk.http, ticket, "closed")
    open_ticket(page, "Closed for good")
    button(page, "Reopen").click()
    expect(said(page)).to_contain_text("Refused")
    expect_legs(page, COMMAND[step] - {"commands-rows", "tickets-log"})
    expect(page.locator("#story")).to_have_text("The rule forbids it: nothing was written.")


def test_the_last_requests_stand_there_in_words_and_are_reached_with_the_keyboard(
    page: Page, desk: Server
) -> None:
    create(desk.http, subject="In words")
    open_ticket(page, "In words")
    button(page, "Triage").click()
    expect(said(page)).to_contain_text("Triaged")
    described = recent(page, "POST /tickets/…/status").locator("xpath=..")
    expect(described).to_contain_text("findAndModify tickets: 1 returned, 1 written")
    for name, is_shown in ("POST /tickets/…/status", "true"), ("GET /dashboard", "false"):
        expect(recent(page, name)).to_have_attribute("aria-pressed", is_shown)
    recent(page, "GET /dashboard").focus()
    page.keyboard.press("Enter")
    expect(recent(page, "GET /dashboard")).to_have_attribute("aria-pressed", "true")
    expect_legs(page, DASHBOARD[number_of(desk)])


def test_a_slow_command_of_mongodb_shows_on_its_leg(browser: Browser, tmp_path: Path) -> None:
    with (
        start_mongod(tmp_path, free_port(), "--setParameter", "enableTestCommands=1") as mongod,
        MongoClient[dict[str, Any]](mongod.uri) as mongo,
        serve_as_run_does(STEPS[2], mongod.uri, "support") as desk,
        visit(browser, desk) as page,
    ):
        fill_in(page, customer="c-42", subject="Slow", message="Very.")
        button(page, "Create").click()
        expect(said(page)).to_contain_text("Created")
        expect_legs(page, COMMAND[3])
        assert figures(page, "commands-rows")[0] < 400

        slow = {"failCommands": ["update"], "blockConnection": True, "blockTimeMS": 400}
        mongo.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=slow)
        button(page, "Close").click()
        expect(said(page)).to_contain_text("Closed")
        expect_legs(page, COMMAND[3])
        wait_until(lambda: figures(page, "commands-rows")[0] >= 400)
        assert figures(page, "commands-tickets")[0] < 400


@in_step_4
def test_a_paused_projector_leaves_the_list_stale_until_it_is_resumed(
    page: Page, desk: Server
) -> None:
    ours = create(desk.http, subject="Of this page")
    theirs = create(desk.http, subject="Of another client")
    open_ticket(page, "Of this page")
    counts = read_dashboard(desk.http)
    behind = page.locator("#behind")
    expect(behind).to_have_text("The projector is running. The read side is up to date.")

    button(page, "Pause the projector").click()
    expect(behind).to_contain_text("The projector is paused.")
    button(page, "Close").click()
    # A command waits for the projection, but not longer than a second.
    expect(said(page)).to_have_text(
        re.compile(r"^Closed in 1,\d\d\d ms, without the projection: .* The list has not followed")
    )
    assert legs(page) == COMMAND[4]
    expect(page.locator("#story")).to_contain_text("paused, so the change waits there.")
    expect(behind).to_have_text(re.compile(r"The read side is .* behind\.$"))
    row = rows(page).filter(has_text="Of this page")
    expect(row.locator(".badge")).to_have_text("open")
    expect(row).to_contain_text("Stale: the list still says open; the ticket is closed.")
    dashboard = page.get_by_role("region", name="Dashboard")
    open_, closed = counts["open"], counts["closed"]
    expect(dashboard).to_contain_text(
        f"Stale: the dashboard still says {open_} open and {closed} closed; "
        f"the tickets say {open_ - 1} open and {closed + 1} closed."
    )

    note = {"note": "Called back"}
    headers = {"Prefer": "respond-async"}
    desk.http.post(f"/tickets/{theirs['id']}/agent-note", json=note, headers=headers)
    expect(rows(page).filter(has_text="Of another client")).to_contain_text(
        "Stale: the list says that there is no note; the ticket has one."
    )

    button(page, "Resume the projector").click()
    expect(said(page)).to_have_text(re.compile(r"^Closed in .*; the list followed after [\d,]+ ms"))
    expect(row.locator(".badge")).to_have_text("closed")
    expect(page.locator(".stale:not(:empty)")).to_have_count(0)
    expect(dashboard.get_by_role("definition").first).to_have_text(str(open_ - 1))
    expect(behind).to_have_text("The projector is running. The read side is up to date.")
    assert desk.http.get(f"/tickets/{ours['id']}").json()["status"] == "closed"


@in_step_4
def test_without_waiting_the_list_is_drawn_at_once_and_follows(page: Page, desk: Server) -> None:
    create(desk.http, subject="In a hurry")
    open_ticket(page, "In a hurry")
    button(page, "Pause the projector").click()
    expect(button(page, "Resume the projector")).to_be_visible()
    page.get_by_role("switch").check()
    button(page, "Triage").click()
    expect(said(page)).to_have_text(re.compile(r"^Triaged in \d{1,3} ms, without waiting"))
    expect(rows(page).filter(has_text="In a hurry")).to_contain_text(
        "Stale: the list still says open"
    )
    button(page, "Resume the projector").click()
    expect(said(page)).to_have_text(re.compile(r"^Triaged in .* the list followed after [\d,]+ ms"))
    expect(rows(page).filter(has_text="In a hurry").locator(".badge")).to_have_text("triaged")


@in_step_4
def test_a_ticket_that_is_created_while_paused_is_named_above_the_list(
    page: Page, desk: Server
) -> None:
    button(page, "Pause the projector").click()
    fill_in(page, customer="c-42", subject="Where am I?", message="Not in the list.")
    button(page, "Create").click()
    expect(said(page)).to_contain_text("The list has not followed yet")
    missing = page.locator("#missing")
    expect(missing).to_have_text("Stale: not in this list yet: “Where am I?”.")
    page.get_by_role("combobox", name="Status").select_option("closed")
    expect(missing).to_be_empty()  # that list will never show it
    page.get_by_role("combobox", name="Status").select_option("open")
    expect(missing).not_to_be_empty()
    button(page, "Resume the projector").click()
    expect(subjects(page).first).to_have_text("Where am I?")
    expect(missing).to_be_empty()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", name="Where am I?")).to_be_visible()
    page.go_back()
    expect(page.locator(".panel:visible")).to_have_count(0)  # and not the form that was sent


@in_step_4
def test_a_change_that_is_projected_between_two_reads_of_the_page_is_shown(
    page: Page, desk: Server
) -> None:
    button(page, "Pause the projector").click()
    expect(button(page, "Resume the projector")).to_be_visible()

    def project_first(route: Route) -> None:
        desk.http.put("/desk/projector", json={"paused": False})
        wait_until(lambda: desk.http.get("/desk/state").json()["behind_milliseconds"] == 0)
        route.continue_()

    page.route("/dashboard", project_first)
    create(desk.http, subject="In between")
    expect(subjects(page).first).to_have_text("In between")


@in_step_4
def test_every_command_says_whether_to_wait_for_the_projection(page: Page, desk: Server) -> None:
    for preference, follows in (
        (None, "ms; the list shows it"),
        ("respond-async", r"ms.*; the list followed after [\d,]+ ms"),
    ):
        page.get_by_role("switch").set_checked(preference is not None)
        fill_in(page, customer="c-42", subject="In a hurry", message="Now.")
        for name, done in ("Create", "Created"), ("Triage", "Triaged"), ("Save note", "Note saved"):
            if name == "Save note":
                page.get_by_role("textbox", name="Note").fill("Called back")
            with page.expect_request(lambda request: request.method == "POST") as command:
                button(page, name).click()
            assert command.value.header_value("Prefer") == preference
            expect(said(page)).to_have_text(re.compile(rf"^{done} in [\d,]+ {follows}\.$"))


@in_step_4
def test_a_projector_that_dies_is_told_of_and_the_list_follows(page: Page, desk: Server) -> None:
    projector_of(desk).kill()
    ticket = create(desk.http, subject="Meanwhile")
    expect(said(page)).to_contain_text("The projector had ended. It was started again")
    expect(subjects(page).first).to_have_text(ticket["subject"])


def test_what_another_client_changes_shows_without_a_click(page: Page, desk: Server) -> None:
    ticket = create(desk.http, subject="Seen by all")
    expect(subjects(page).first).to_have_text("Seen by all")
    button(page, "Seen by all").click()
    change_status(desk.http, ticket, "triaged")
    row = rows(page).filter(has_text="Seen by all").first
    expect(row.locator(".badge")).to_have_text("triaged")
    expect(page.locator("#opened-ticket .badge")).to_have_text("triaged")
    add_note(desk.http, ticket, "By another client")
    expect(page.get_by_role("textbox", name="Note")).to_have_value("By another client")
    expect(page.locator(".stale:not(:empty)")).to_have_count(0)


def test_only_step_4_has_a_read_side_to_wait_for(page: Page, desk: Server) -> None:
    has_one = number_of(desk) == 4
    expect(button(page, "Pause the projector")).to_be_visible(visible=has_one)
    expect(page.get_by_role("switch")).to_be_visible(visible=has_one)
    expect(page.locator("#behind")).to_be_visible(visible=has_one)


def test_the_header_tells_which_step_runs(page: Page, desk: Server) -> None:
    state = desk.http.get("/desk/state").json()
    title = f"Step {state['step']}: {state['name']}"
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_text(state["idea"])).to_be_visible()
    expect(page.get_by_role("link", name="/docs")).to_have_attribute("href", "/docs")
    expect(page.get_by_role("link", name="What changed")).to_have_count(1 if state["diff"] else 0)
    expect(page.get_by_text("make site")).to_be_visible(visible=not state["diff"])


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 375), ("dark", 1280)])
def test_the_strip_fits_and_has_no_accessibility_finding(
    page: Page, desk: Server, scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.reload()
    if width == 375:
        expect(page.locator("#picture")).to_be_hidden()  # the list comes first there
        page.locator("summary").click()
    expect(page.locator("#picture")).to_be_visible()
    step = number_of(desk)
    ticket = create(desk.http, subject=f"Looked at in {scheme}, {width}")
    if step == 4:
        button(page, "Pause the projector").click()
        expect(button(page, "Resume the projector")).to_be_visible()
        headers = {"Prefer": "respond-async"}
        change = {"new_status": "closed"}
        desk.http.post(f"/tickets/{ticket['id']}/status", json=change, headers=headers)
        expect(page.locator("li .stale:not(:empty)")).to_have_count(1)
    for name in "GET /tickets", "GET /dashboard":
        recent(page, name).click()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        strip = page.locator("#flow").bounding_box()
        stations = [each.bounding_box() for each in page.locator(".station").all()]
        labels = [each.bounding_box() for each in page.locator(".label.lit").all()]
        assert strip
        for box in [*stations, *labels]:
            assert box
            assert box["x"] >= strip["x"]
            assert box["x"] + box["width"] <= strip["x"] + strip["width"]
        for one, other in combinations(stations, 2):
            assert one and other and not overlap(one, other)


def overlap(one: FloatRect, other: FloatRect) -> bool:
    return (
        one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    )


@pytest.mark.parametrize("desk", STEPS[:1], indirect=True)
def test_nothing_moves_for_those_who_asked_for_less_motion(page: Page, desk: Server) -> None:
    for preference, animation in ("no-preference", "travel"), ("reduce", "none"):
        page.emulate_media(reduced_motion="reduce" if preference == "reduce" else "no-preference")
        moving = "document.querySelector('svg > .lit')"
        assert page.evaluate(f"getComputedStyle({moving}).animationName") == animation
