"""The exercises can be solved: each is red as the repository stands, and green when solved."""

import re
from pathlib import Path

import pytest

from .copies import REPOSITORY, contract_suite, copied, run_tests
from .servers import STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXERCISES = REPOSITORY / "exercises"
NUMBERS = [patch.stem for patch in sorted(EXERCISES.glob("solutions/*.patch"))]


def suite_of(number: str) -> Path:
    return EXERCISES / f"test_{number.replace('.', '_')}.py"


def test_every_exercise_is_told_tested_and_solved() -> None:
    readmes = "".join(REPOSITORY.joinpath(step, "README.md").read_text() for step in STEPS)
    assert re.findall(r"^\*\*(\d\.\d) ", readmes, re.MULTILINE) == NUMBERS
    assert [suite_of(number) for number in NUMBERS] == sorted(EXERCISES.glob("test_*.py"))


def test_each_exercise_is_red_before_it_is_solved(mongod: str) -> None:
    with copied() as copy:
        suites = [f"exercises/{suite_of(number).name}" for number in NUMBERS]
        run = run_tests(copy, mongod, "--tb=no", *suites)
    red = re.findall(r"^FAILED exercises/(\w+\.py)::", run.stdout, re.MULTILINE)
    assert set(red) == {suite_of(number).name for number in NUMBERS}, run.stdout


@pytest.mark.parametrize("number", NUMBERS)
def test_each_exercise_is_green_when_solved_and_the_contract_is_kept(
    number: str, mongod: str
) -> None:
    step = STEPS[int(number[0]) - 1]
    with copied(EXERCISES / f"solutions/{number}.patch") as copy:
        suite = f"exercises/{suite_of(number).name}"
        these = f"{suite_of(number).stem} or ({step} and mongomock)"
        run = run_tests(copy, mongod, "-k", these, suite, *contract_suite(copy))
    assert run.returncode == 0, run.stdout
