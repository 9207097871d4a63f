"""The walkthrough site: every page of it is made of the repository's own files."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .diff_pages import write_diff_pages
from .pages import write_pages

HERE = Path(__file__).parent


def build_site(repository: Path, target: Path) -> None:
    """Build the site of the repository into the folder `target`, in place of what is there."""
    with TemporaryDirectory() as folder:
        project = Path(folder)
        write_pages(repository, project / "docs")
        write_diff_pages(repository, project / "docs")
        for asset in "site.css", "site.js":
            shutil.copy(HERE / asset, project / "docs")
        shutil.copy(HERE / "zensical.toml", project)
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        subprocess.run(command, cwd=project, check=True)
        project.joinpath("site", "404.html").unlink()  # takes the site for the root of its host
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(project / "site", target)
