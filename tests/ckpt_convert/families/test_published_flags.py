"""The flags that published weights need, against the shipped model files."""

from collections.abc import Callable

import pytest
from family_configs import PUBLISHED, published

from ckpt_convert.families.model import model_of_config
from harness.arch.model import model_arch, padded_vocab_size
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved

type Resolve = Callable[..., Resolved]

PADDING = "--make-vocab-size-divisible-by"


@pytest.mark.parametrize("name", PUBLISHED)
def test_flags_agree_with_the_shipped_model_file(name: str, resolve: Resolve) -> None:
    shipped = resolve(f"MODEL={name}", cluster="template").megatron_args
    flags = model_of_config(published(name), "config.json").flags
    shared = (flags.keys() & shipped.keys()) - {PADDING}
    assert {flag: flags[flag] for flag in shared} == {flag: shipped[flag] for flag in shared}
    assert len(shared) > 15


@pytest.mark.parametrize("name", PUBLISHED)
def test_flags_describe_the_network_of_the_shipped_model_file(name: str, resolve: Resolve) -> None:
    """Flags that only one of them spells out make no difference."""
    shipped = resolve(f"MODEL={name}", cluster="template").megatron_args
    flags = model_of_config(published(name), "config.json").flags
    for tp in ("1", "2", "4", "8"):
        ours, theirs = (MegatronArgs({**args, "--tensor-model-parallel-size": tp}) for args in (flags, shipped))
        assert model_arch(ours) == model_arch(theirs)
        assert padded_vocab_size(ours) == published(name)["vocab_size"]


def test_no_flag_is_about_training() -> None:
    words = ("lr", "loss", "aux", "dropout", "init", "weight-decay", "adam", "batch", "update-rate", "parallel")
    for name in PUBLISHED:
        flags = model_of_config(published(name), "config.json").flags
        assert not [flag for flag in flags if any(word in flag for word in words)]
