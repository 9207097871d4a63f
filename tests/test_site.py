"""The walkthrough site: whole, closed in itself, and usable by whoever comes."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from workbench.site import build_site
from workbench.site.diff_pages import compare_steps
from workbench.site.diffs import compare, explain

from .servers import STEPS

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parent.parent
PAIRS = list(itertools.combinations(range(1, 5), 2))
PAGES = ["index.html", "step_03_projections/index.html", "docs/what-is-proved.html"]
PAGES += ["diffs/1-2.html", "diffs/3-4.html", "step_04_full_cqrs/projector.py.html"]
PHONE = {"width": 375, "height": 667}


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
    """The folder of the site, built of the repository as it is."""
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
    loaded += [link for css in site.rglob("*.css") for link in re.findall(r"url\((.*?)\)", css.read_text())]
    assert not [link for link in loaded if link.strip("\"'").startswith(("http", "//"))]
