"""Operations of a training step by Megatron's own counter, in the release that is installed."""

import argparse

import pytest

from harness.arch.model import model_arch
from harness.config.megatron_args import MegatronArgs


def megatron_counts(args: MegatronArgs, sequences: int) -> float:
    """`num_floating_point_operations` on what Megatron's own parser makes of these flags."""
    arguments = pytest.importorskip("megatron.training.arguments")
    training = pytest.importorskip("megatron.training.training")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    arguments.add_megatron_arguments(parser)
    namespace = parser.parse_args(args.argv())
    namespace.padded_vocab_size = model_arch(args).padded_vocab_size
    return float(training.num_floating_point_operations(namespace, sequences))
