"""Every link of every page leads somewhere."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from doc_pages import REPOSITORY, pages, prose, read, without_blocks

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_URL = re.compile(r"https?://[^\s)>\"'`]+")
_HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
ALLOWED_HOSTS: set[str] = {"github.com", "www.apache.org"}


def test_all_pages_are_found() -> None:
    assert {Path("README.md"), Path("CHANGELOG.md"), Path("docs/configure.md")} <= set(pages())


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in _LINK.findall(prose(read(page))) if not leads_somewhere(page, link)]
    assert not broken, f"{page}: broken links {broken}"


@pytest.mark.parametrize("page", pages(), ids=str)
def test_urls_are_of_known_hosts(page: Path) -> None:
    strange = {url for url in _URL.findall(read(page)) if urlsplit(url).hostname not in ALLOWED_HOSTS}
    assert not strange, f"{page}: link to pages of this project, or add the host to ALLOWED_HOSTS: {strange}"


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = set(_LINK.findall(prose(read(Path("README.md")))))
    assert {str(page) for page in pages() if page.parts[0] == "docs"} <= linked


@pytest.mark.parametrize(
    ("link", "good"),
    [("configure.md", True), ("configure.md#rules", True), ("nowhere.md", False), ("configure.md#nothing", False)],
)
def test_a_broken_link_is_seen(link: str, good: bool) -> None:
    assert leads_somewhere(Path("docs/models.md"), link) is good


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether a link's file exists and has its anchor; addresses of other sites are not looked up."""
    if "://" in link:
        return True
    name, _, anchor = link.partition("#")
    target = REPOSITORY / page.parent / name if name else REPOSITORY / page
    if not target.resolve().is_relative_to(REPOSITORY) or not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings: lower case, punctuation dropped, spaces as hyphens."""
    titles = _HEADING.findall(without_blocks(text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
