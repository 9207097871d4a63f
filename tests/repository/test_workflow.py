"""The workflow on GitHub, which cannot be run here: what it names is there."""

import os
import re
import tomllib

from ..support.copies import REPOSITORY
from ..support.lanes import LANES
from .test_readmes import make_targets

WORKFLOW = REPOSITORY.joinpath(".github/workflows/ci.yml").read_text()


def test_each_job_begins_with_the_oldest_python_that_we_support() -> None:
    project = tomllib.loads(REPOSITORY.joinpath("pyproject.toml").read_text())["project"]
    pythons = re.findall(r'python: \["([\d.]+)", "[\d.]+"\]', WORKFLOW)
    assert [f">={oldest}" for oldest in pythons] == [project["requires-python"]] * 2


def test_what_the_workflow_runs_is_there() -> None:
    ours, install, lane = re.findall(r"- run: (\.ci/.*|python .*)", WORKFLOW)
    assert os.access(REPOSITORY / ours, os.X_OK)
    assert REPOSITORY.joinpath(install.split()[-1]).exists()
    assert lane.removeprefix("python -m pytest --lane ") in LANES


def test_ci_runs_make_targets_that_are_there_and_that_contributing_names() -> None:
    targets = re.findall(r"^make (.+)$", REPOSITORY.joinpath(".ci/run").read_text(), re.MULTILINE)
    assert targets
    assert set(targets) <= set(make_targets())
    page = " ".join(REPOSITORY.joinpath("CONTRIBUTING.md").read_text().split())
    *most, last = (f"`make {target}`" for target in targets)
    assert f"is what CI runs: {', '.join(most)} and {last}." in page
