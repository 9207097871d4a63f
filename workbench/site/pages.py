"""The pages that the repository has already: README.md, and all that its links lead to."""

import os
import re
from pathlib import Path

LINK = re.compile(r"(?<=]\()(?!\w+:|#)[^)#]+")
LINES = re.compile(r"#L(\d+)-L\d+(?=\))")
PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">'
    r'\s*<img alt="(?P<alt>[^"]+)" src="(?P<light>[^"]+)">\s*</picture>'
)
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
            place.write_text(code(page.with_suffix("")), encoding="utf-8")
            continue
        place.write_text(with_links_to_pages(text, page.parent), encoding="utf-8")
        waiting += [(page.parent / link).resolve() for link in LINK.findall(text)]


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
    return f"# {folder.name}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)


def is_shown(file: Path) -> bool:
    return not file.name.startswith((".", "__init__", "__pycache__")) and file.suffix != ".md"


def code(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return f'# {file.name}\n\n```` {file.suffix[1:]} linenums="1"\n{text}````\n'


def with_links_to_pages(text: str, folder: Path) -> str:
    """Return the text of a page in this folder, with its links leading to pages."""

    def to_page(link: re.Match[str]) -> str:
        target = (folder / link[0]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"A page in {folder} has a broken link: {link[0]}")
        return Path(os.path.relpath(page_of(target), folder)).as_posix()

    return LINES.sub(r"#line-0-\1", LINK.sub(to_page, text))
