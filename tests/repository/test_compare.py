"""`make compare` says the same each time, and the READMEs say what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.__main__ import STEPS
from workbench.compare import REQUESTS, Row, compare, kilobytes

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
TICKETS = 1000
FIGURES = ("calls", "examined", "written", "KB read")


@pytest.fixture(scope="module")
def rows(mongod: str) -> list[Row]:  # `mongod` skips if this machine has none
    return compare(STEPS, TICKETS)


def of_step(rows: list[Row], step: str) -> dict[str, Row]:
    return {row.request: row for row in rows if row.step == step}


def figures(row: Row) -> list[str]:
    return [
        str(len(row.commands)),
        f"{row.documents_examined:,}",
        str(row.documents_written),
        kilobytes(row.bytes_read),
    ]


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table."""
    rule = [":---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *lines])


def expected_tables(rows: list[Row], step: int) -> list[str]:
    """Return the tables of a step's README: its figures beside those of the step before."""
    now = of_step(rows, str(step))
    if step == 1:
        head = ["request", *FIGURES]
        return [table(head, [[f"`{name}`", *figures(now[name])] for name in REQUESTS])]
    before = of_step(rows, str(step - 1))
    head = ["request"]
    for what in FIGURES:
        head += [f"{what}: step {step - 1}", f"step {step}"]
    lines = []
    for name in REQUESTS:
        pairs = zip(figures(before[name]), figures(now[name]), strict=True)
        lines.append([f"`{name}`", *[figure for pair in pairs for figure in pair]])
    tables = [table(head, lines)]
    if step == 4:
        projector = of_step(rows, "4, projector")
        head = ["change", *FIGURES]
        lines = [[f"`{name}`", *figures(row)] for name, row in projector.items()]
        tables.append(table(head, lines))
    return tables


@pytest.mark.parametrize("step", STEPS)
def test_the_table_in_the_readme_of_a_step_is_what_compare_prints(
    rows: list[Row], step: int
) -> None:
    readme = REPOSITORY.joinpath(STEPS[step], "README.md").read_text(encoding="utf-8")
    tables = expected_tables(rows, step)
    for each in tables:
        assert each in readme, f"The README of step {step} should have this:\n\n{each}"


@pytest.mark.parametrize("step", STEPS)
def test_what_the_readme_says_around_its_table_is_in_the_table(rows: list[Row], step: int) -> None:
    readme = REPOSITORY.joinpath(STEPS[step], "README.md").read_text(encoding="utf-8")
    section = readme.partition("## What MongoDB does for each request")[2].partition("\n## ")[0]
    prose = [line for line in section.splitlines() if not line.startswith("|")]
    said = re.findall(r"[\d,.]+ KB", " ".join(prose))
    assert said
    known = {f"{kilobytes(row.bytes_read)} KB" for row in rows}
    assert set(said) <= known


def test_it_repeats_exactly(rows: list[Row]) -> None:
    assert compare(STEPS, TICKETS) == rows


def test_the_table_goes_to_standard_output_and_the_progress_to_standard_error() -> None:
    command = [sys.executable, "-m", "workbench", "compare", "--tickets", "30"]
    ended = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for request in REQUESTS:
        assert f" {request} " in ended.stdout
    assert "requests/s" in ended.stderr
    assert "requests/s" not in ended.stdout
    assert "…" not in ended.stdout  # nothing is cut off at 80 columns
