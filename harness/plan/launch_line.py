"""A candidate as the command that launches it."""

import shlex
from collections.abc import Mapping, Sequence

from harness.config.megatron_args import MegatronArgs
from harness.plan.candidate import Candidate


def launch_line(carried: Mapping[str, str], found: Candidate, extra: Sequence[str]) -> str:
    """`moe-harness launch MODEL=… TP=… -- --recompute-granularity …`: what was typed, what was chosen, and flags."""
    words = [f"{name}={value}" for name, value in {**carried, **found.settings}.items()]
    flags = [*extra, *MegatronArgs(found.flags).argv()]
    return shlex.join(["moe-harness", "launch", *words, *(["--", *flags] if flags else [])])
