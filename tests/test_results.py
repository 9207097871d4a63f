"""The prose about the benchmarks says what the stored results say."""

import json
from pathlib import Path

import pytest

from benchmarks.cited import paragraphs
from benchmarks.report import write_report

REPOSITORY = Path(__file__).parent.parent
RESULTS = json.loads(REPOSITORY.joinpath("benchmarks/results.json").read_text())
CITED = paragraphs(RESULTS)


@pytest.mark.parametrize("file", CITED)
def test_a_readme_cites_the_stored_results(file: str) -> None:
    assert CITED[file] in " ".join(REPOSITORY.joinpath(file).read_text().split())


def test_the_page_of_results_is_made_of_the_stored_results(tmp_path: Path) -> None:
    write_report(RESULTS, tmp_path)
    page = "results.md"
    assert tmp_path.joinpath(page).read_text() == REPOSITORY.joinpath("docs", page).read_text()
    pictures = {file.name for file in tmp_path.iterdir()}
    assert pictures <= {file.name for file in REPOSITORY.joinpath("docs").iterdir()}
