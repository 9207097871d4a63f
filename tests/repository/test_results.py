"""The page of results is made from the stored results, and says what they are about."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import to_lines
from benchmarks.report import page_of, write_report

REPOSITORY = Path(__file__).parent.parent.parent
RESULTS = json.loads(REPOSITORY.joinpath("benchmarks/results.json").read_text())


def test_the_page_of_results_is_made_of_the_stored_results(tmp_path: Path) -> None:
    write_report(RESULTS, tmp_path)
    page = "results.md"
    assert tmp_path.joinpath(page).read_text() == REPOSITORY.joinpath("docs", page).read_text()
    pictures = {file.name for file in tmp_path.glob("*.svg")}
    flows = {f"flow-{step}.svg" for step in (1, 2, 3, 4)}
    assert pictures | flows == {file.name for file in REPOSITORY.glob("docs/*.svg")}


def test_a_picture_is_small_and_has_real_text() -> None:
    for picture in REPOSITORY.glob("docs/*.svg"):
        assert picture.stat().st_size < 60_000
        assert "<text" in picture.read_text()


def test_each_measurement_has_a_line_of_its_own() -> None:
    stored = REPOSITORY.joinpath("benchmarks/results.json").read_text()
    assert stored == to_lines(RESULTS)
    measurements = [each for kind in RESULTS.values() if isinstance(kind, list) for each in kind]
    assert set(map(json.dumps, measurements)) <= {line.rstrip(",") for line in stored.splitlines()}


@pytest.mark.parametrize("commit", ["90230f66463c", "0123456789ab"])
def test_the_page_says_on_top_if_it_measured_the_first_edition(commit: str) -> None:
    page = page_of(RESULTS | {"about": RESULTS["about"] | {"commit": commit}})
    title = "# What each step costs and gains\n\n"
    notice = f"> **These figures measured the first edition of the steps**, at commit `{commit}`."
    assert page.startswith(title + notice) == (commit == "90230f66463c")
    assert ("its mark has to come off again" in page) == (commit == "90230f66463c")
