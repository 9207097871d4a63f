"""The walkthrough site: it is complete, needs no network, and everybody can use it."""

import functools
import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from benchmarks.report import pictures
from workbench.site import build_site
from workbench.site.diff_pages import REASONS, compare_steps
from workbench.site.diffs import Line, Place, compare
from workbench.site.pages import for_the_site

from ..support.servers import STEPS

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parent.parent.parent
PAIRS = list(itertools.combinations(range(1, 5), 2))
PAGES = [  # one of each kind
    "index.html",
    "step_03_projections/projections.py.html",
    "diffs/2-3.html",
    "exercises/index.html",
    "docs/what-is-proved.html",
]


class Html(HTMLParser):
    """What a page refers to, and what others can refer to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value or "")
            elif name in ("href", "src", "srcset"):
                (self.links if tag == "a" else self.loaded).append(value or "")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built from the repository as it is."""
    folder = tmp_path_factory.mktemp("site")
    build_site(REPOSITORY, folder)
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Html]:
    return {page.resolve(): Html(page) for page in site.rglob("*.html")}


def test_the_site_has_a_page_for_each_step_and_every_two_of_them(site: Path) -> None:
    for page in [*(f"{step}/index" for step in STEPS), *(f"diffs/{a}-{b}" for a, b in PAIRS)]:
        assert site.joinpath(f"{page}.html").exists()


def test_every_link_leads_to_a_place_that_is_there(pages: dict[Path, Html]) -> None:
    broken = []
    for page, html in pages.items():
        for link in (*html.links, *html.loaded):
            scheme, _, path, _, anchor = urlsplit(link)
            target = (page.parent / unquote(path)).resolve() if path else page
            if not scheme and not leads_to(target, unquote(anchor), pages):
                broken.append((page.name, link))
    assert not broken


def leads_to(target: Path, anchor: str, pages: dict[Path, Html]) -> bool:
    return anchor in pages[target].anchors if target in pages else target.is_file()


def test_nothing_that_a_page_loads_comes_from_another_host(
    site: Path, pages: dict[Path, Html]
) -> None:
    loaded = [link for html in pages.values() for link in html.loaded]
    loaded += [
        link for css in site.rglob("*.css") for link in re.findall(r"url\((.*?)\)", css.read_text())
    ]
    assert not [link for link in loaded if link.strip("\"'").startswith(("http", "//"))]


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 1400)])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_serious(
    site: Path, browser: Browser, page: str, scheme: Literal["light", "dark"], width: int
) -> None:
    with opened(browser, site / page, scheme, width) as tab:
        found = Axe().run(tab).response["violations"]
    assert not [each for each in found if each["impact"] in ("serious", "critical")]


def test_no_page_scrolls_sideways_on_a_phone(site: Path, browser: Browser) -> None:
    for page in PAGES:
        with opened(browser, site / page, width=375) as tab:
            fits = tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert fits, page


def test_a_diff_is_switched_to_one_column_by_keyboard(site: Path, browser: Browser) -> None:
    with opened(browser, site / "diffs/2-3.html") as tab:
        removed, added = tab.locator("del.line").first, tab.locator("del.line + ins.line").first
        assert left_of(removed) < left_of(added)
        tab.get_by_label("side by side").focus()
        tab.keyboard.press("ArrowRight")
        assert left_of(removed) == left_of(added)


def test_the_view_of_the_diffs_stays_as_it_was_chosen(site: Path, browser: Browser) -> None:
    with opened(browser, site / "diffs/2-3.html") as tab:
        tab.get_by_label("in one column").check()
        tab.goto((site / "diffs/3-4.html").as_uri())
        assert tab.get_by_label("in one column").is_checked()


def test_a_phone_shows_the_pictures_of_the_steps_one_below_the_other(
    site: Path, browser: Browser
) -> None:
    with opened(browser, site / "index.html", width=375) as tab:
        places = [picture.bounding_box() for picture in tab.locator("table a > img").all()]
        assert len(places) == 4
        assert all(place and place["width"] > 300 for place in places)


def test_a_phone_shows_a_diff_in_one_column(site: Path, browser: Browser) -> None:
    with opened(browser, site / "diffs/2-3.html", width=375) as tab:
        removed, added = tab.locator("del.line").first, tab.locator("del.line + ins.line").first
        assert left_of(removed) == left_of(added)


def test_a_file_that_did_not_change_is_named_and_opens_by_keyboard(
    site: Path, browser: Browser
) -> None:
    with opened(browser, site / "diffs/2-3.html") as tab:
        line = tab.get_by_text("Where the tickets live")
        assert not line.is_visible()
        tab.get_by_text("database.py, 55 lines").press("Enter")
        assert line.is_visible()


def test_the_name_of_a_file_stays_in_sight_and_leads_to_the_next_and_the_previous_change(
    site: Path, browser: Browser
) -> None:
    with opened(browser, site / "diffs/2-3.html") as tab:
        section = tab.locator("[id='commands.py']")
        tab.goto(f"{tab.url}#commands.py")
        for button, change in ("next", 0), ("next", 1), ("next", 2), ("previous", 1):
            section.get_by_role("button", name=f"{button} change").press("Enter")
            header = box_of(section.locator("header"))
            below = header["y"] + header["height"]
            assert box_of(section.locator(".hunk").nth(change))["y"] == pytest.approx(below, abs=1)


def test_a_block_that_moved_is_folded_to_one_line_that_says_where_it_went(
    site: Path, browser: Browser
) -> None:
    with opened(browser, site / "diffs/1-2.html") as tab:
        commands = tab.locator("[id='commands.py']")
        line = commands.get_by_text("customer_id: CustomerId")
        assert not line.is_visible()
        commands.get_by_text("23 lines moved from schemas.py").press("Enter")
        assert line.is_visible()


def test_a_link_to_some_lines_tints_these_and_no_other(site: Path, browser: Browser) -> None:
    with opened(browser, site / "index.html") as tab:
        tab.locator("a[href*='?lines=']").first.click()
        tab.wait_for_url(re.compile(r"\?lines="))
        first, last = map(int, tab.url.partition("?lines=")[2].partition("#")[0].split("-"))
        expect(tab.locator(".hll")).to_have_count(last - first + 1)
        tinted = [line.get_attribute("id") for line in tab.locator(".hll").all()]
        assert tinted == [f"line-0-{number}" for number in range(first, last + 1)]


def test_the_files_of_a_step_are_tabs(site: Path, browser: Browser) -> None:
    with opened(browser, site / "step_03_projections/projections.py.html") as tab:
        tabs = tab.get_by_role("navigation", name="Files of this step")
        tabs.get_by_role("link", name="queries.py").click()
        expect(tab.get_by_role("heading", level=1)).to_contain_text("Step 3: queries.py")
        assert tabs.locator("[aria-current=page]").inner_text() == "queries.py"


def test_each_exercise_has_its_solution_behind_a_click(site: Path, browser: Browser) -> None:
    solutions = sorted(REPOSITORY.glob("exercises/solutions/*.patch"))
    with opened(browser, site / "exercises/index.html") as tab:
        for number in (patch.stem for patch in solutions):
            tab.get_by_text(f"A solution of {number}").press("Enter")
        assert tab.locator("details[open] .gi").count() >= len(solutions)
        assert tab.locator("strong", has_text=re.compile(r"^\d\.\d ")).count() == len(solutions)


def test_search_finds_a_page_where_the_site_is_served(site: Path, browser: Browser) -> None:
    with serving(site) as url, browser.new_page() as tab:
        tab.goto(url)
        tab.get_by_role("button", name="Search").click()
        tab.get_by_placeholder("Search").fill("projector")
        expect(tab.locator("a[href*='step_04_full_cqrs/projector.py']").first).to_be_visible()


def test_there_is_no_search_where_the_site_is_opened_from_disk(
    site: Path, browser: Browser
) -> None:
    with opened(browser, site / "index.html") as tab:
        assert not tab.get_by_text("Search", exact=True).count()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def left_of(locator: Locator) -> float:
    return box_of(locator)["x"]


def box_of(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box is not None
    return box


@contextmanager
def opened(
    browser: Browser, page: Path, scheme: Literal["light", "dark"] = "light", width: int = 1400
) -> Iterator[Page]:
    """Open a page from disk. Check that it asks nobody for anything."""
    asked: list[str] = []
    with browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800}) as tab:
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        yield tab
    assert not [url for url in asked if not url.startswith("file:")]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_diff_has_every_line_of_both_steps(pair: tuple[int, int]) -> None:
    for diff in compare_steps(REPOSITORY, *pair):
        for step, other_sign in zip(pair, "+-", strict=True):
            lines = [line.text for line in diff.lines if line.sign != other_sign]
            file = REPOSITORY.joinpath(STEPS[step - 1], diff.name)
            assert lines == (file.read_text().splitlines() if file.exists() else [])


@pytest.mark.parametrize("pair", [(1, 2), (2, 3), (3, 4)])
def test_every_hunk_between_neighbours_has_a_reason(pair: tuple[int, int]) -> None:
    for diff in compare_steps(REPOSITORY, *pair):
        for hunk in diff.hunks:
            text = "\n".join(line.sign + line.text for line in hunk)
            assert any(line.reasons for line in hunk), f"{diff.name} has no reason for\n{text}"


def test_a_picture_for_light_or_dark_follows_the_switch_of_the_site() -> None:
    page = for_the_site(pictures({"lag": "How soon"}))
    assert page == "![How soon](lag-light.svg#only-light)![How soon](lag-dark.svg#only-dark)"


def test_a_reason_for_what_is_not_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REASONS["1-2"]["main.py"], "return nothing", "Because.")
    with pytest.raises(LookupError):
        compare_steps(REPOSITORY, 1, 2)


def test_a_definition_that_moves_is_shown_as_moved() -> None:
    diffs = {diff.name: diff for diff in compare_steps(REPOSITORY, 1, 2)}
    places = {
        (name, line.sign, line.moved and line.moved.file)
        for name, diff in diffs.items()
        for line in diff.lines
        if line.text.startswith(("class CreateTicket(", "async def change("))
    }
    assert places == {
        ("schemas.py", "-", "commands.py"),
        ("commands.py", "+", "schemas.py"),
        ("main.py", "-", "commands.py"),
        ("commands.py", "+", "main.py"),
    }


def test_a_block_moves_as_a_whole_and_what_is_alike_by_chance_does_not(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    block = ["def find(ticket):", "    if ticket is None:", "        raise TicketNotFound"]
    alike = ["    if ticket.closed:", "        return"]
    write(old / "main.py", "async def get_ticket():", "    return 1", *block, "", "find(1)")
    write(old / "queries.py", "def find_one(ticket):", *alike)
    write(new / "main.py", "async def get_ticket():", "    return find()")
    write(new / "commands.py", *block, "", "", "def close(ticket):", *alike)
    moved: dict[tuple[str, Place | None], list[str]] = {}
    for diff in compare(old, new):
        for line in diff.moved:
            moved.setdefault((diff.name, line.moved), []).append(line.text)
    assert moved == {
        ("main.py", Place("commands.py", 1, 3)): [*block, ""],
        ("commands.py", Place("main.py", 3, 5)): [*block, "", ""],
    }


def test_only_the_words_that_differ_are_marked_in_a_changed_line(tmp_path: Path) -> None:
    write(tmp_path / "old" / "main.py", "rows = db.tickets.find(wanted)", "show(rows)")
    write(tmp_path / "new" / "main.py", "rows = db.ticket_reads.find(wanted, skip=0)", "stop()")
    lines = next(iter(compare(tmp_path / "old", tmp_path / "new"))).lines
    assert [(line.sign, marked_in(line)) for line in lines] == [
        ("-", "tickets"),
        ("-", ""),
        ("+", "ticket_reads,skip=0"),
        ("+", ""),
    ]


def marked_in(line: Line) -> str:
    marked = "".join(re.findall(r"<mark>(.*?)</mark>", line.html))
    return re.sub(r"<[^>]+>|\s", "", marked)


def test_steps_that_are_not_neighbours_have_the_reasons_of_the_steps_between() -> None:
    diffs = {diff.name: diff for diff in compare_steps(REPOSITORY, 1, 3)}
    steps = {
        name: {reason.step for line in diffs[name].lines for reason in line.reasons}
        for name in ("commands.py", "projections.py", "schemas.py")
    }
    assert steps == {"commands.py": {2, 3}, "projections.py": {3}, "schemas.py": {2}}


def test_a_reason_of_a_later_step_takes_the_place_of_an_earlier_one() -> None:
    diffs = {diff.name: diff for diff in compare_steps(REPOSITORY, 2, 4)}
    reasons = [line.reasons for line in diffs["rebuild.py"].lines if line.reasons]
    assert [{reason.step for reason in each} for each in reasons] == [{4}] * len(reasons)


def write(file: Path, *lines: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
