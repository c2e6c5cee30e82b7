"""A rule for who launches with the template as it is."""

from collections.abc import Iterator

from harness.config.draft import Draft, Notice, Word

_PLACEHOLDER = "YOUR_"


def placeholders(draft: Draft) -> Iterator[Word]:
    """Values that are still the template's own, which no cluster has."""
    left = [name for name, value in draft.settings.items() if _PLACEHOLDER in str(value or "")]
    if left:
        where = draft.origin(left[0]).partition(":")[0]
        yield Notice(text=f"{where} is not filled in: {', '.join(left)}; copy it to NAME.conf and set CLUSTER=NAME")
