"""Which Megatron release saved a checkpoint. None writes its version down, but each knows its own arguments."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.releases import known, load

_WHOLE_COMMAND_LINE = 200
"""Every release has more arguments than this; converters save a handful."""


@dataclass(frozen=True, kw_only=True)
class ReleaseGuess:
    """A release such as 0.19, None where nothing tells, and what told it."""

    number: str | None
    how: str


def guess_release(args: Mapping[str, object], *, ours: bool) -> ReleaseGuess:
    """The release whose command line differs least from the arguments of the run."""
    if ours:
        return ReleaseGuess(number=None, how="written by moe-harness for all releases")
    if len(args) < _WHOLE_COMMAND_LINE:
        return ReleaseGuess(number=None, how=f"{len(args)} arguments in it, too few to tell")
    options = {release: {option.dest for option in load(release).options.values()} for release in known()}
    ever = set().union(*options.values())
    differing = {release: len(names ^ (args.keys() & ever)) for release, names in options.items()}
    nearest = min(differing, key=differing.__getitem__)
    how = f"of the arguments in it, {differing[nearest]} are not those of {nearest}, the nearest release"
    return ReleaseGuess(number=str(nearest), how=how)
