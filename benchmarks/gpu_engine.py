"""One GPU training DeepSeek-V2-Lite's shapes with the real engine, beside the same GEMMs and attentions alone.

`python benchmarks/gpu_engine.py [KEY=VALUE …]` trains 6 layers in bf16 at SEQ_LEN 4096, prints step time, TFLOP/s, MFU
and peak memory, then times each matrix product and attention of such a step by itself on the same GPU: their sum is the
ceiling that the step is compared with. FLOPs are counted by Megatron's convention.
"""

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import grouped_mm, linear, scaled_dot_product_attention

from harness.arch.precision import Precision
from harness.cost.hardware import find_gpu
from harness.units import GIB, TERA

WARM_UP_STEPS = 5
WARM_UP_CALLS, TIMED_CALLS = 3, 10
WORDS = (
    *("MODEL=DeepSeek-V2-Lite", "CLUSTER=laptop", "PROXY=none", "DATASET=mock", "DEVICE=gpu", "GPUS_PER_NODE=1"),
    *("NUM_LAYERS=6", "SEQ_LEN=4096", "PR=bf16", "TP=1", "PP=1", "CP=1", "EP=1", "MBS=1", "GBS=8", "TRAIN_ITERS=25"),
)
_STEP_MS = re.compile(r"elapsed time per iteration \(ms\): ([\d.]+)")


@dataclass(frozen=True, kw_only=True)
class Product:
    """x·wᵀ for x [tokens, inner] and w [outer, inner], done `count` times a micro-batch.

    With `experts`, a grouped GEMM: the tokens are shared out evenly among as many w.
    """

    name: str
    tokens: int
    inner: int
    outer: int
    count: int
    experts: int = 0


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """The sizes of the model that is trained, by Megatron's flags."""

    flags: dict[str, str]

    def __getitem__(self, flag: str) -> int:
        return int(self.flags[f"--{flag}"])

    @property
    def micro_batches(self) -> int:
        """Micro-batches in a step of one rank."""
        return self["global-batch-size"] // self["micro-batch-size"]

    @property
    def moe_layers(self) -> int:
        """Layers with experts; the first one is dense."""
        return self["num-layers"] - 1

    def products(self) -> Iterator[Product]:
        """Every matrix product of a forward pass."""
        tokens, hidden, heads = (
            self["seq-length"] * self["micro-batch-size"],
            self["hidden-size"],
            self["num-attention-heads"],
        )
        layers, moe, shared = self["num-layers"], self.moe_layers, self["moe-shared-expert-intermediate-size"]
        query, value, rank = self["qk-head-dim"] + self["qk-pos-emb-head-dim"], self["v-head-dim"], self["kv-lora-rank"]
        sizes = (
            ("attention query", hidden, heads * query, layers),
            ("attention kv down", hidden, rank + self["qk-pos-emb-head-dim"], layers),
            ("attention kv up", rank, heads * (self["qk-head-dim"] + value), layers),
            ("attention output", heads * value, hidden, layers),
            ("dense MLP in", hidden, 2 * self["ffn-hidden-size"], layers - moe),
            ("dense MLP out", self["ffn-hidden-size"], hidden, layers - moe),
            ("shared experts in", hidden, 2 * shared, moe),
            ("shared experts out", shared, hidden, moe),
            ("router", hidden, self["num-experts"], moe),
            ("output layer", hidden, self["vocab-size"], 1),
        )
        for name, inner, outer, count in sizes:
            yield Product(name=name, tokens=tokens, inner=inner, outer=outer, count=count)
        routed, experts, ffn = tokens * self["moe-router-topk"], self["num-experts"], self["moe-ffn-hidden-size"]
        for name, inner, outer in (("experts in", hidden, 2 * ffn), ("experts out", ffn, hidden)):
            yield Product(name=name, tokens=routed, inner=inner, outer=outer, count=moe, experts=experts)


def main() -> None:
    """Train, measure the ceiling, print both."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu_engine.py: no GPU: CUDA is not available here; run it on a machine with one")
    resolved = json.loads(
        _output([str(Path(sys.executable).with_name("moe-harness")), "resolve", "--json", *WORDS, *sys.argv[1:]])
    )
    log = _output(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "-m",
            "harness.engine.pretrain",
            *resolved["argv"],
        ]
    )
    steps_ms = [float(found) for found in _STEP_MS.findall(log)][WARM_UP_STEPS:]
    step_s = statistics.median(steps_ms) / 1e3
    flops = _said(log, "in effect")["flops_per_step"]
    ceiling_s = measure_ceiling_s(Shapes(flags=_flags(resolved["argv"])))
    gpu = find_gpu(torch.cuda.get_device_name())
    peak_flops = gpu.peak(Precision.BF16) if gpu else None
    print(f"GPU             {torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"step            {step_s * 1e3:.1f} ms [{min(steps_ms):.1f} to {max(steps_ms):.1f}], {len(steps_ms)} steps")
    print(f"engine          {_speed(flops / step_s, peak_flops)}")
    print(f"ceiling         {_speed(flops / ceiling_s, peak_flops)}, {ceiling_s * 1e3:.1f} ms of the products alone")
    print(f"of the ceiling  {ceiling_s / step_s:.1%}")
    print(f"peak memory     {_said(log, 'peak memory')['per_rank_bytes'][0] / GIB:.2f} GiB allocated")


def measure_ceiling_s(shapes: Shapes) -> float:
    """Seconds of one step's products and attentions, forward and backward, each timed by itself."""
    total_s = 0.0
    for product in shapes.products():
        once_s = _median_s(_product(product))
        total_s += once_s * product.count * shapes.micro_batches
        flops = 6 * product.tokens * product.inner * product.outer
        print(f"  {product.name:20}{once_s * 1e3:8.3f} ms  {flops / once_s / TERA:6.0f} TFLOP/s  x {product.count}")
    once_s = _median_s(_attention(shapes))
    print(f"  {'core attention':20}{once_s * 1e3:8.3f} ms  {'':15} x {shapes['num-layers']}")
    return total_s + once_s * shapes["num-layers"] * shapes.micro_batches


def _product(product: Product) -> Callable[[], None]:
    """A product and its two gradients."""
    x = _random(product.tokens, product.inner)
    gradient = torch.ones(product.tokens, product.outer, device="cuda", dtype=torch.bfloat16)
    if not product.experts:
        weight = _random(product.outer, product.inner)
        return lambda: torch.autograd.backward(linear(x, weight), gradient, inputs=(x, weight))
    weights = _random(product.experts, product.outer, product.inner)
    ends = torch.linspace(0, product.tokens, product.experts + 1, device="cuda")[1:].to(torch.int32)
    return lambda: torch.autograd.backward(
        grouped_mm(x, weights.transpose(1, 2), offs=ends), gradient, inputs=(x, weights)
    )


def _attention(shapes: Shapes) -> Callable[[], None]:
    """Causal attention of one layer and micro-batch, and its gradients."""
    heads = (shapes["micro-batch-size"], shapes["num-attention-heads"], shapes["seq-length"])
    width, value_width = shapes["qk-head-dim"] + shapes["qk-pos-emb-head-dim"], shapes["v-head-dim"]
    parts = (_random(*heads, width), _random(*heads, width), _random(*heads, value_width))
    gradient = torch.ones(*heads, value_width, device="cuda", dtype=torch.bfloat16)
    return lambda: torch.autograd.backward(scaled_dot_product_attention(*parts, is_causal=True), gradient, inputs=parts)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16).requires_grad_()


def _median_s(call: Callable[[], None]) -> float:
    """Seconds of a call on the GPU, by its own clock."""
    times_ms = []
    for _ in range(WARM_UP_CALLS + TIMED_CALLS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times_ms.append(start.elapsed_time(end))
    return statistics.median(times_ms[WARM_UP_CALLS:]) / 1e3


def _speed(flops_per_s: float, peak_flops: float | None) -> str:
    mfu = f"MFU {flops_per_s / peak_flops:.1%}" if peak_flops else "MFU – (no peak is known for this GPU)"
    return f"{flops_per_s / TERA:.1f} TFLOP/s, {mfu}"


def _flags(argv: list[str]) -> dict[str, str]:
    """Each flag with the word after it."""
    return {flag: word for flag, word in zip(argv, [*argv[1:], ""], strict=True) if flag.startswith("--")}


def _said(log: str, what: str) -> dict[str, object]:
    return json.loads(log.split(f"moe-harness: {what} ", 1)[1].splitlines()[0])


def _output(command: list[str]) -> str:
    """What a command prints. If it fails, end with what it said."""
    done = subprocess.run(command, env=os.environ, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
