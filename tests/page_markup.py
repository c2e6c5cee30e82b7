"""A page as its elements, and what a browser would fetch for it."""

from html.parser import HTMLParser

_VOID = ("meta", "input", "wbr")
"""Elements without an end (HTML, 13.1.2), of those that pages have."""


class PageMarkup(HTMLParser):
    """Open elements, every address that a browser would fetch, and the kind of each element, such as `tr.None`."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.kinds: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that must end, unless it is void."""
        self.kinds.append(f"{tag}.{dict(attrs).get('class')}")
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that has ended."""
        self.kinds.append(f"{tag}.{dict(attrs).get('class')}")

    def handle_endtag(self, tag: str) -> None:
        """AssertionError where another element is open."""
        assert self.open.pop() == tag


def page_markup(text: str) -> PageMarkup:
    """What a whole page holds."""
    markup = PageMarkup()
    markup.feed(text)
    markup.close()
    return markup
