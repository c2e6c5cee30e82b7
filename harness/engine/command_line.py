"""Megatron's command line as flags: what this rank's model is built from."""

import sys

from harness.config.flags import FlagTable, parse_flags
from harness.config.megatron_args import MegatronArgs
from harness.config.release import EMBEDDED_RELEASE
from harness.config.releases import load


def command_line_flags() -> MegatronArgs:
    """The flags of `sys.argv`; of those with one meaning the last one counts."""
    catalogue = load(EMBEDDED_RELEASE)
    table = FlagTable(catalogue)
    for flag, entry in parse_flags(sys.argv[1:], catalogue, "job"):
        table.put(flag, entry)
    return table.args()
