"""The page of results is made of the stored results, and these are whole."""

import json
from itertools import product
from pathlib import Path

import pytest

from benchmarks.__main__ import sizes_up_to, to_lines
from benchmarks.measures import (
    COMMANDS,
    DURING_REBUILD,
    EMPTY,
    LISTS,
    QUERIES,
    ROUNDS,
    ROUNDS_OF_COMMANDS,
    ROUNDS_OF_LAG,
)
from benchmarks.report import write_report
from benchmarks.services import EXTERNAL, FLOOR
from benchmarks.targets import ASYNC, FOUR, NAMES, ONE, THREE, reasons, targets

REPOSITORY = Path(__file__).parent.parent.parent
RESULTS = json.loads(REPOSITORY.joinpath("benchmarks/results.json").read_text())

SIZES = [1_000, 10_000, 100_000, 1_000_000]
TURNS, TURNS_OF_COMMANDS, TURNS_OF_LAG = (
    range(1, rounds + 1) for rounds in (ROUNDS, ROUNDS_OF_COMMANDS, ROUNDS_OF_LAG)
)
BESIDES_STEPS = [FLOOR.name, ASYNC, EXTERNAL.name, f"{EXTERNAL.name}, respond-async"]


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


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            "queries",
            ["what", "who", "round"],
            [
                *product(QUERIES, [*NAMES, FLOOR.name, "bare driver loop"], TURNS),
                *product(["nothing"], [EMPTY], TURNS),
            ],
        ),
        (
            "commands",
            ["what", "who", "round"],
            product(COMMANDS, [*NAMES, *BESIDES_STEPS], TURNS_OF_COMMANDS),
        ),
        ("short", ["who", "round"], product(NAMES, TURNS)),
        (
            "lags",
            ["who", "round"],
            [*product([FOUR, EXTERNAL.name], TURNS_OF_LAG), *product([DURING_REBUILD], TURNS)],
        ),
        ("images", ["who", "round"], product([ONE, f"{ONE}, with pre-images"], TURNS_OF_COMMANDS)),
        ("projector", ["round"], product(TURNS)),
        (
            "growth",
            ["tickets", "what", "who", "round"],
            product(SIZES, [*LISTS, "dashboard"], NAMES, TURNS),
        ),
        ("starts", ["tickets", "who", "round"], product(SIZES, NAMES, range(ROUNDS + 1))),
        ("rebuilds", ["tickets", "who"], product(SIZES, [THREE, FOUR])),
    ],
)
def test_each_size_step_and_measure_has_a_measurement_of_its_own(
    kind: str, fields: list[str], expected: list[tuple[object, ...]]
) -> None:
    measured = [tuple(record[field] for field in fields) for record in RESULTS[kind]]
    assert sorted(measured) == sorted(expected)


def test_growth_is_measured_in_powers_of_ten() -> None:
    assert sizes_up_to(1_000_000) == SIZES
    assert sizes_up_to(25_000) == [1_000, 10_000, 25_000]
    assert sizes_up_to(1_000) == [1_000]


def test_a_target_that_is_missed_has_its_reason_and_no_other_has_one() -> None:
    missed = {what for what, *_, met in targets(RESULTS) if not met}
    assert missed == set(reasons())
