"""The exercises can be solved: each test is red at first, and green with our solution."""

import re
from pathlib import Path

import pytest

from ..support.copies import REPOSITORY, contract_suite, copied, run_tests
from ..support.servers import STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXERCISES = REPOSITORY / "exercises"
NUMBERS = [patch.stem for patch in sorted(EXERCISES.glob("solutions/*.patch"))]
# One copy of the repository can have solutions of several steps: they share no file.
ROUNDS = [
    numbers
    for last in range(1, 10)
    if (numbers := [each for each in NUMBERS if each.endswith(f".{last}")])
]
# It can have several of one step if they change different lines. 4.3 changes some of 4.1.
TOGETHER = [[each for each in NUMBERS if each != "4.3"], ["4.3"]]


def suites_of(numbers: list[str]) -> list[str]:
    return [f"exercises/test_{number.replace('.', '_')}.py" for number in numbers]


def solutions_of(numbers: list[str]) -> list[Path]:
    return [EXERCISES / f"solutions/{number}.patch" for number in numbers]


def test_every_exercise_is_told_tested_and_solved() -> None:
    readmes = "".join(REPOSITORY.joinpath(step, "README.md").read_text() for step in STEPS)
    assert re.findall(r"^\*\*(\d\.\d) ", readmes, re.MULTILINE) == NUMBERS
    tests = [f"exercises/{suite.name}" for suite in sorted(EXERCISES.glob("test_*.py"))]
    assert tests == suites_of(NUMBERS)


def test_each_exercise_is_red_before_it_is_solved(mongod: str) -> None:
    with copied() as copy:
        run = run_tests(copy, mongod, "--tb=no", "-k", "not mongomock", *suites_of(NUMBERS))
    red = re.findall(r"^FAILED (exercises/\w+\.py)::", run.stdout, re.MULTILINE)
    assert {*red} == {*suites_of(NUMBERS)}, run.stdout


@pytest.mark.parametrize("numbers", ROUNDS, ids=" ".join)
def test_each_exercise_is_green_when_solved(numbers: list[str], mongod: str) -> None:
    with copied(*solutions_of(numbers)) as copy:
        run = run_tests(copy, mongod, *suites_of(numbers))
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("numbers", TOGETHER, ids=" ".join)
def test_the_contract_is_kept_by_the_solutions(numbers: list[str], mongod: str) -> None:
    steps = " or ".join({STEPS[int(number[0]) - 1] for number in numbers})
    with copied(*solutions_of(numbers)) as copy:
        run = run_tests(copy, mongod, "-k", f"mongomock and ({steps})", *contract_suite(copy))
    assert run.returncode == 0, run.stdout
