"""What the ranks of the engine's tests run. Each function is one rank's whole job, in a process of its own."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from answering_rank_tasks import *  # noqa: F403  # the server looks for tasks here
from megatron.core.datasets.gpt_dataset import MockGPTLowLevelDataset
from megatron.core.transformer import multi_token_prediction
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.transformer_config import TransformerConfig

from harness.engine import evaluate, forward, pretrain, training
from harness.engine.attention import CoreAttention
from harness.engine.context_parallel import held_chunks
from harness.engine.evaluation_passes import measure
from harness.engine.session import ModelSession
from harness.evaluation.windows import Windows

# What windows say of where their tokens are from.
NO_TEXT: Any = {
    **dict.fromkeys(("text_bytes", "end_of_document", "documents")),
    "files": (),
    "sha256": "",
    "truncated": False,
    "rule": "",
}
# Of Megatron's 100,000 documents every rank would shuffle six million samples, and a test takes forty.
MockGPTLowLevelDataset.size = 100


def train() -> None:
    """Train as the command line says."""
    training.train(on_cpu=True)


def train_and_name_what_was_imported() -> None:
    """Train, and say which packages are here that a plain job on CPU ranks has no use for."""
    train()
    print("imported:", [name for name in ("torch._dynamo", "transformers", "wandb") if sys.modules.get(name)])


def train_from_the_entry_point() -> None:
    """Train, and end as the entry point does; the CPU ranks are installed here already."""
    pretrain._train = train
    pretrain.main()


def compute_logits() -> None:
    """One forward pass, from the entry point; the tokens' and the output's file come first on the command line."""
    forward.main()


def compute_logits_at_any_strictness() -> None:
    """The same where Megatron compares names, and hands all that torch says of a tensor to `torch.empty`."""
    empty = torch.empty
    torch.empty = lambda *args, strides=None, **options: empty(*args, **options)
    forward.main()


def train_with_local_attention_only() -> None:
    """Train with the mistake that a plain core attention makes under context parallelism: it sees local keys alone."""

    def local_only(self: Any, query: Any, key: Any, value: Any, _mask: Any) -> Any:
        return self._attend(query, key, value, None)

    CoreAttention._over_ranks = local_only  # type: ignore[method-assign]
    train()


def train_with_mtp_mean_over_all_tokens() -> None:
    """Train with each token's MTP loss weighed alike.

    Under context parallelism Megatron averages the means of the ranks, though the last token, which has nothing further
    to predict, leaves one of them a token fewer. Here the ranks share the count, so that one rank's curve holds.
    """
    roll = multi_token_prediction.roll_tensor

    def rolled(*args: Any, cp_group: Any = None, **options: Any) -> Any:
        tensor, total = roll(*args, cp_group=cp_group, **options)
        if cp_group is not None and cp_group.size() > 1:
            torch.distributed.all_reduce(total, group=cp_group)
            total = total / cp_group.size()
        return tensor, total

    multi_token_prediction.roll_tensor = rolled
    train()


def train_until_rank_1_fails() -> None:
    """Train; rank 1 raises at its third micro-batch."""
    batches = iter(range(1000))

    def fail_later(*args: Any) -> Any:
        if torch.distributed.get_rank() == 1 and next(batches) == 2:
            raise ValueError("rank 1 has had enough")
        return forward_step(*args)

    forward_step = training.forward_step
    training.forward_step = fail_later
    train_from_the_entry_point()


def compare_core_attention() -> None:
    """Core attention against softmax(q·kᵀ·scale + mask)·v written out, values and gradients."""
    shapes = {"multi-head": (4, 4, 16, 16), "grouped-query": (4, 2, 16, 16), "latent": (4, 4, 24, 12)}
    for name, (heads, kv_heads, width, value_width) in shapes.items():
        inputs = _inputs(12, 2, heads, kv_heads, width, value_width)
        masked = torch.rand(2, 1, 12, 12) < 0.3
        masked |= ~torch.ones(12, 12, dtype=torch.bool).tril()
        masked &= ~torch.eye(12, dtype=torch.bool)
        for mask in (None, masked):
            found = core_attention(width, _Alone())(*inputs, mask)
            _assert_same(name, inputs, found, naive_attention(*inputs, mask))


def compare_context_parallel_attention() -> None:
    """Each rank's part of the attention, and of the gradients, against the whole computed on every rank."""
    torch.distributed.init_process_group("gloo")
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    half = 5
    tokens = torch.cat([torch.arange(half) + chunk * half for chunk in held_chunks(rank, size)])
    for kv_heads, value_width in ((4, 16), (2, 16), (4, 12)):
        torch.manual_seed(7)
        whole = _inputs(2 * size * half, 2, 4, kv_heads, 16, value_width)
        mine = [part.detach()[tokens].requires_grad_() for part in whole]
        expected = naive_attention(*whole, None)
        found = core_attention(16, torch.distributed.group.WORLD)(*mine, None)
        torch.testing.assert_close(found, expected[tokens])
        weights = torch.randn_like(expected)
        wanted = torch.autograd.grad(expected, whole, weights)
        got = torch.autograd.grad(found, mine, weights[tokens])
        for theirs, ours in zip(wanted, got, strict=True):
            torch.testing.assert_close(ours, theirs[tokens])


def core_attention(width: int, cp_group: Any) -> CoreAttention:
    """The engine's core attention for heads of `width`."""
    config = TransformerConfig(
        num_layers=1, hidden_size=64, num_attention_heads=4, kv_channels=width, attention_dropout=0.0
    )
    groups = type("Groups", (), {"cp": cp_group})()
    return CoreAttention(config, 1, AttnMaskType.causal, "self", k_channels=width, pg_collection=groups)


def naive_attention(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """[s, b, n, d], [s, b, g, d], [s, b, g, e] → [s, b, n·e], one product at a time; `mask` is true where hidden."""
    repeat = query.size(2) // key.size(2)
    key, value = key.repeat_interleave(repeat, 2), value.repeat_interleave(repeat, 2)
    scores = torch.einsum("sbnd,tbnd->bnst", query, key) / math.sqrt(query.size(3))
    hidden = ~torch.ones(query.size(0), key.size(0), dtype=torch.bool).tril() if mask is None else mask
    probabilities = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    return torch.einsum("bnst,tbne->sbne", probabilities, value).flatten(2)


def _inputs(tokens: int, batch: int, heads: int, kv_heads: int, width: int, value_width: int) -> list[torch.Tensor]:
    shapes = ((heads, width), (kv_heads, width), (kv_heads, value_width))
    return [torch.randn(tokens, batch, *shape, requires_grad=True) for shape in shapes]


def _assert_same(name: str, inputs: list[torch.Tensor], found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, msg=lambda text: f"{name}: {text}")
    weights = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs, msg=lambda text: f"{name}, gradient: {text}")


class _Alone:
    """A process group of one rank."""

    def size(self) -> int:
        """One rank."""
        return 1


def measure_windows() -> None:
    """Measure windows with each of a list of batch sizes; the arguments begin with their file, an output, the sizes.

    The checkpoint is that of `--load`. The first rank writes losses and experts, their names led by the batch size.
    """
    source, out, sizes = sys.argv[1:4]
    del sys.argv[1:4]
    with np.load(source) as arrays:
        windows = Windows(**arrays, **NO_TEXT)
    session = ModelSession.start(seq_length=windows.tokens.shape[1] - 1)
    session.load(Path(session.args.load))
    found: dict[str, Any] = {}
    for size in sizes.split(","):
        measured = measure(session, windows, int(size), loss=True, routing=True)
        if measured:
            arrays = {"nll": measured.nll, "mtp_nll": measured.mtp_nll, **measured.experts}
            found |= {f"{size} {name}": array for name, array in arrays.items() if array is not None}
    if torch.distributed.get_rank() == 0:
        np.savez(out, **found)
    session.close()


def evaluate_checkpoints() -> None:
    """Evaluate, from the entry point; the CPU ranks are installed here already."""
    evaluate.entry.install_device = lambda: True
    evaluate.main()


def evaluate_without_lm_eval() -> None:
    """Evaluate as where lm-eval is not installed."""
    from harness.evaluation import task_names

    task_names.find_spec = lambda _name: None
    evaluate_checkpoints()
