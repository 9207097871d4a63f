"""The page of results is made of the stored results, and says what they are about."""

import json
from pathlib import Path

import pytest

from benchmarks.report import page_of, write_report

REPOSITORY = Path(__file__).parent.parent.parent
RESULTS = json.loads(REPOSITORY.joinpath("benchmarks/results.json").read_text())


def test_the_page_of_results_is_made_of_the_stored_results(tmp_path: Path) -> None:
    write_report(RESULTS, tmp_path)
    page = "results.md"
    assert tmp_path.joinpath(page).read_text() == REPOSITORY.joinpath("docs", page).read_text()
    pictures = {file.name for file in tmp_path.iterdir()}
    assert pictures <= {file.name for file in REPOSITORY.joinpath("docs").iterdir()}


@pytest.mark.parametrize("commit", ["90230f66463c", "0123456789ab"])
def test_the_page_says_on_top_if_it_measured_the_first_edition(commit: str) -> None:
    page = page_of(RESULTS | {"about": RESULTS["about"] | {"commit": commit}})
    title = "# What each step costs and gains\n\n"
    notice = f"> **These figures measured the first edition of the steps**, at commit `{commit}`."
    assert page.startswith(title + notice) == (commit == "90230f66463c")
    assert ("its mark has to come off again" in page) == (commit == "90230f66463c")
