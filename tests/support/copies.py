"""Copies of the repository, in which a test may change anything."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parent.parent.parent
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".mongodb", ".hypothesis", ".site", ".benchmarks", "*cache*"
)


@contextmanager
def copied(*patches: Path) -> Iterator[Path]:
    """A copy of the repository with these patches applied."""
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(REPOSITORY, Path(folder, "copy"), ignore=NOT_COPIED))
        if patches:
            subprocess.run(["git", "apply", *patches], cwd=copy, check=True)
        yield copy


def run_tests(copy: Path, mongod: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy in one process. They may be in exercises/, which has no conftest.py."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "--noconftest", "-p", "tests.conftest"]
    # None of these tests needs these plugins, and it takes a second to load them.
    command += ["-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:faker"]
    command += ["--mongod", mongod]
    return subprocess.run(
        [*command, *arguments],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def contract_suite(copy: Path) -> list[str]:
    """Return the files of the contract suite."""
    return [str(file) for file in copy.glob("tests/contract/test_*.py")]
