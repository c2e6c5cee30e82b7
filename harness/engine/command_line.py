"""Megatron's command line as flags: what this rank's model is built from."""

import sys

from harness.config.flags import parsed_args
from harness.config.megatron_args import MegatronArgs
from harness.config.release import EMBEDDED_RELEASE
from harness.config.releases import load


def command_line_flags() -> MegatronArgs:
    """The flags of `sys.argv`; of those with one meaning the last one counts."""
    return parsed_args(sys.argv[1:], load(EMBEDDED_RELEASE), "job")
