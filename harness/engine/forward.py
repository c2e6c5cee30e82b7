"""Entry point of a rank: one forward pass of a checkpoint over given tokens, under torchrun.

    python -m harness.engine.forward TOKENS.npy OUTPUT.npz <Megatron's arguments, --load DIR among them>

TOKENS.npy holds whole numbers [b, s]. OUTPUT.npz gets `logits` [b, s, v] in fp32 and, of a model with multi-token
prediction, `mtp_hidden` [d, b, s, h]: what each of the d layers hands to the output layer. Any TP, PP and EP will do.
A parameter that the checkpoint does not fill is named, and the exit code is 2.
"""

import sys
from pathlib import Path

from harness.engine import entry
from harness.errors import ConfigError

_USAGE = "python -m harness.engine.forward TOKENS.npy OUTPUT.npz <Megatron's arguments>"


def main() -> None:
    """Compute, and end the process."""
    entry.run(_forward)


def _forward() -> None:
    tokens, output = _own_arguments()
    entry.install_device()
    from harness.engine.logits import write_logits

    write_logits(tokens, output)


def _own_arguments() -> tuple[Path, Path]:
    """The two leading arguments, taken out of the command line: the rest is Megatron's."""
    arguments = sys.argv[1:3]
    if len(arguments) < 2 or any(argument.startswith("-") for argument in arguments):
        raise ConfigError(f"engine: the tokens and the output come first; usage: {_USAGE}")
    del sys.argv[1:3]
    return Path(arguments[0]), Path(arguments[1])


if __name__ == "__main__":
    main()
