"""The pages that the repository has already: README.md, and all that its links lead to."""

import os
import re
from html import escape
from pathlib import Path

from .diff_pages import IDEAS

LINK = re.compile(r"(?<=]\()(?!\w+:|#)[^)#]+")
LINES = re.compile(r"#L(\d+)-L(\d+)(?=\))")
PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">'
    r'\s*<img alt="(?P<alt>[^"]+)" src="(?P<light>[^"]+)">\s*</picture>'
)
EXERCISE = re.compile(r"^(\*\*(\d\.\d) .+?)(?=^\*\*\d\.\d |^#|\Z)", re.MULTILINE | re.DOTALL)
NOT_SEARCHED = "---\nhide: [toc]\nsearch:\n  exclude: true\n---\n"
SEARCHED = "---\nhide: [toc]\n---\n"
TABS = '<nav class="tabs" aria-label="Files of this step" data-search-exclude>\n{}</nav>'
COPIED = (".json", ".svg")


def write_pages(repository: Path, docs: Path) -> None:
    """Write README.md and all that its links lead to, each where it is in the repository."""
    waiting = [repository / "README.md"]
    written = set()
    while waiting:
        page = page_of(waiting.pop())
        if page in written:
            continue
        written.add(page)
        place = docs / page.relative_to(repository)
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix in COPIED:
            place.write_bytes(page.read_bytes())
            continue
        if page.exists():
            text = for_the_site(page.read_text(encoding="utf-8"))
        elif page.name == "index.md":
            text = listing(page.parent)
        else:
            text = code(page.with_suffix(""))
            place.write_text(text, encoding="utf-8")
            waiting += files_of_step(page.parent)
            continue
        waiting += [(page.parent / link).resolve() for link in LINK.findall(text)]
        text = with_links_to_pages(text, page.parent)
        if page == repository / "exercises" / "README.md":
            text += list_of_exercises(repository)
        elif page.name == "README.md" and is_step(page.parent):
            text += link_to_change(number_of_step(page.parent))
        place.write_text(text, encoding="utf-8")


def page_of(file: Path) -> Path:
    """Return the page that shows a file or a folder; it may be one that is not there yet."""
    if file.is_dir():
        readme = file / "README.md"
        return readme if readme.exists() else file / "index.md"
    return file if file.suffix in (".md", *COPIED) else file.with_name(f"{file.name}.md")


def for_the_site(text: str) -> str:
    """Return GitHub's Markdown as the site's."""
    # The site has a switch for light and dark, which a media query does not know of.
    text = PICTURE.sub(r"![\g<alt>](\g<light>#only-light)![\g<alt>](\g<dark>#only-dark)", text)
    return text.replace("<details>", '<details markdown="1">')


def listing(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir() if is_shown(file))
    return f"{NOT_SEARCHED}# {folder.name}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)


def is_shown(file: Path) -> bool:
    return not file.name.startswith((".", "__init__", "__pycache__")) and file.suffix != ".md"


def code(file: Path) -> str:
    """Return the page of a file; of a step, its title says which, and tabs lead to the others."""
    text = file.read_text(encoding="utf-8")
    language = {".patch": "diff"}.get(file.suffix, file.suffix[1:])
    block = f'```` {language} linenums="1"\n{text}````\n'
    if not is_step(file.parent):
        return f"{NOT_SEARCHED}# {file.name}\n\n{block}"
    tabs = "".join(
        f'<a href="{each.name}.html"{" aria-current=page" * (each == file)}>{each.name}</a>\n'
        for each in files_of_step(file.parent)
    )
    title = f"# Step {number_of_step(file.parent)}: {file.name}"
    return f"{SEARCHED}{title}\n\n{TABS.format(tabs)}\n\n{block}"


def is_step(folder: Path) -> bool:
    return folder.name.startswith("step_")


def number_of_step(folder: Path) -> int:
    return int(folder.name.split("_")[1])


def files_of_step(folder: Path) -> list[Path]:
    """Return the files of code in the folder of a step, and none for any other folder."""
    return sorted(filter(is_shown, folder.glob("*.py"))) if is_step(folder) else []


def link_to_change(step: int) -> str:
    """Return the card that ends the page of a step, with its diff; step 1 has that of step 2."""
    new = max(step, 2)
    return f"""
<a class="card" href="../diffs/{new - 1}-{new}.html">
<strong>See the change from step {new - 1} to step {new}</strong>
{escape(IDEAS[str(new)])}
</a>
"""


def list_of_exercises(repository: Path) -> str:
    """Return all exercises as the steps have them, each with its solution behind a click."""
    parts = ["\n## All exercises\n"]
    for readme in sorted(repository.glob("step_*/README.md")):
        parts.append(f"### Step {number_of_step(readme.parent)}\n")
        for text, number in EXERCISE.findall(readme.read_text(encoding="utf-8")):
            patch = repository.joinpath("exercises", "solutions", f"{number}.patch")
            parts += [
                with_links_to_pages(text.strip(), readme.parent, repository / "exercises"),
                f'\n<details markdown="1"><summary>A solution of {number}</summary>\n',
                f"```` diff\n{patch.read_text(encoding='utf-8')}````\n\n</details>\n",
            ]
    return "\n".join(parts)


def with_links_to_pages(text: str, folder: Path, place: Path | None = None) -> str:
    """Return the text of a page in this folder, with its links leading to pages.

    They are links for a page in the folder `place`, if it is another one.
    """

    def to_page(link: re.Match[str]) -> str:
        target = (folder / link[0]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"A page in {folder} has a broken link: {link[0]}")
        return Path(os.path.relpath(page_of(target), place or folder)).as_posix()

    return LINES.sub(r"?lines=\1-\2#line-0-\1", LINK.sub(to_page, text))
