"""A rule for who launches with the template as it is."""

from collections.abc import Iterator

from harness.config.directives import Directive, Notice
from harness.config.draft import Draft
from harness.config.settings import unfilled_notice


def placeholders(draft: Draft) -> Iterator[Directive]:
    """Values that are still the template's own, which no cluster has."""
    if text := unfilled_notice(draft.settings, draft.setting_origins):
        yield Notice(text=text)
