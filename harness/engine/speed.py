"""How fast a session's model runs forward: whole sequences, and text with its KV cache, prefill and decode apart.

Legend: b sequences a copy of the model, s tokens each.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed
from megatron.core import mpu

from harness.engine.rank_memory import RankMemory, rank_memory
from harness.engine.session import ModelSession
from harness.engine.token_logits import TokenLogits
from harness.evaluation.spec import EvaluationSpec


def measure_speed(session: ModelSession, spec: EvaluationSpec) -> dict[str, Any] | None:
    """The section `inference_performance` of the results on rank 0, None on the others. All ranks call it at once.

    A time is from when all ranks start to when the slowest ends. Latencies are in ms, throughputs in tokens/s over
    all ranks. Memory is the most that any rank uses.
    """
    shape = (spec.batch_size, spec.seq_len)
    draws = np.random.default_rng(spec.seed).integers(0, session.args.vocab_size, shape)
    tokens = torch.from_numpy(draws).to(torch.cuda.current_device())
    forward_s = _times(lambda: session.forward_logits(tokens), spec)
    cached = _CachedRun(TokenLogits(session), tokens, spec.speed.decode_tokens)
    runs = _repeated(cached.run, spec)
    memory = _of_fullest_rank(rank_memory())
    if torch.distributed.get_rank() != 0:
        return None
    copies = mpu.get_data_parallel_world_size()
    prefill_s, decode_s = [run[0] for run in runs], [step for run in runs for step in run[1:]]
    return {
        **_spread("latency_ms", forward_s),
        "throughput_tokens_per_sec": _throughput(tokens.numel() * copies, forward_s),
        **memory,
        "prefill": {
            **_spread("latency_ms", prefill_s),
            "tokens_per_s": _throughput(cached.prompt.numel() * copies, prefill_s),
            "tokens": cached.prompt.size(1),
        },
        "decode": {
            **_spread("ms_per_token", decode_s),
            "tokens_per_s": _throughput(len(tokens) * copies, decode_s),
        },
        "batch_size": len(tokens),
        "seq_len": tokens.size(1),
        "decode_tokens": spec.speed.decode_tokens,
        "warmup": spec.speed.warmup,
        "repeats": spec.speed.repeats,
        "ranks": torch.distributed.get_world_size(),
        "device": torch.cuda.get_device_name(),
    }


class _CachedRun:
    """One generation of given tokens: a pass over all but the last of each sequence, then a token at a time."""

    def __init__(self, model: TokenLogits, tokens: torch.Tensor, steps: int) -> None:
        self._model, self._steps = model, steps
        self.prompt = tokens[:, : max(tokens.size(1) - steps, 1)]

    def run(self) -> list[float]:
        """Seconds of the prefill, then of every step."""
        cache = self._model.cache(len(self.prompt), self.prompt.size(1) + self._steps)
        token = self.prompt[:, :1]
        fed = [self.prompt, *[token] * self._steps]
        return [_timed(lambda part=part: self._pass(part, cache)) for part in fed]  # type: ignore[misc]

    def _pass(self, tokens: torch.Tensor, cache: Any) -> None:
        rows = torch.arange(len(tokens), device=tokens.device)
        last = torch.full_like(rows, tokens.size(1) - 1)
        self._model.read(tokens, (rows, last), lambda logits, _rows: logits, cache)


def _times(work: Callable[[], object], spec: EvaluationSpec) -> list[float]:
    """Seconds of each of the repeats that count."""
    return [seconds for (seconds,) in _repeated(lambda: [_timed(work)], spec)]


def _repeated(measure: Callable[[], list[float]], spec: EvaluationSpec) -> list[list[float]]:
    """The measurements of the repeats, after the warm-up."""
    return [measure() for _ in range(spec.speed.warmup + spec.speed.repeats)][spec.speed.warmup :]


def _timed(work: Callable[[], object]) -> float:
    """Seconds until the slowest rank is through, from when all of them start."""
    torch.distributed.barrier()
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    seconds = torch.tensor([time.perf_counter() - start], dtype=torch.float64, device=torch.cuda.current_device())
    torch.distributed.all_reduce(seconds, op=torch.distributed.ReduceOp.MAX)
    return float(seconds.item())


def _spread(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """The median of durations in ms under `name`, and their 5th and 95th percentiles."""
    low, median, high = np.percentile(seconds, (5, 50, 95)) * 1e3
    return {name: float(median), f"{name}_p05": float(low), f"{name}_p95": float(high)}


def _throughput(tokens: int, seconds: Sequence[float]) -> float:
    """Tokens a second at the median duration."""
    return float(tokens / np.median(seconds))


def _of_fullest_rank(memory: RankMemory) -> RankMemory:
    """The memory of the rank that uses most of it."""
    by_rank: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(by_rank, memory)
    return max(by_rank, key=lambda rank: rank["memory_reserved_gb"] or rank["memory_allocated_gb"])
