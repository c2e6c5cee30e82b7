"""A random Hugging Face checkpoint of any model's architecture, for trials and benchmarks.

    python tools/random_checkpoint.py FOLDER [--dtype bf16|fp32|fp8] [--headers-only] [KEY=VALUE …] [-- Megatron flags]

The shape is that of `moe-harness resolve` with the same words: `MODEL=DeepSeek-V2-Lite` alone gives the laptop's proxy,
`PROXY=none` the full model. --headers-only makes sparse files that hold headers alone and take no space.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ckpt_convert.families.model import EMBEDDING, Model, model_of_megatron
from ckpt_convert.families.namespace import namespace_of
from ckpt_convert.families.saved_args import NETWORK_FLAGS
from ckpt_convert.fp8 import SCALE_SUFFIX, BlockShape
from ckpt_convert.hf.safetensors import render_header
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.config.megatron_args import MegatronArgs
from harness.config.roots import Roots
from harness.config.sources import Request, resolve_request

SHARD_BYTES = 1 << 30
BLOCK = BlockShape(rows=128, columns=128)
DTYPES = {"bf16": Dtype.BF16, "fp32": Dtype.F32, "fp8": Dtype.F8_E4M3}
NEVER_FP8 = ("norm", "embed_tokens", "lm_head", "head.weight", "mlp.gate.", "eh_proj")


def main() -> None:
    """Write the checkpoint."""
    words, extra = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--headers-only", action="store_true")
    asked = parser.parse_intermixed_args(words)
    model = _model(asked.words, extra, fp8=asked.dtype == "fp8")
    asked.folder.mkdir(parents=True)
    (asked.folder / "config.json").write_text(json.dumps(dict(model.config), indent=2) + "\n")
    _write(asked.folder, dict(_tensors(model, DTYPES[asked.dtype])), headers_only=asked.headers_only)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after `--`."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _model(words: list[str], extra: list[str], *, fp8: bool) -> Model:
    """The model that a checkpoint trained with these words would be."""
    flags = resolve_request(Request(words=words, extra=extra, environ=os.environ), Roots.standard()).megatron_args
    network = MegatronArgs({flag: flags[flag] for flag in (*NETWORK_FLAGS, "--vocab-size") if flag in flags})
    embedding = TensorInfo(dtype=Dtype.BF16, shape=(flags.integer("--vocab-size"), flags.integer("--hidden-size")))
    model = model_of_megatron(namespace_of(network), {EMBEDDING: embedding}, " ".join(words), None)
    if not fp8:
        return model
    quantised = {"quant_method": "fp8", "weight_block_size": [BLOCK.rows, BLOCK.columns]}
    return replace(model, config={**model.config, "quantization_config": quantised})


def _tensors(model: Model, dtype: Dtype) -> Iterator[tuple[str, TensorInfo]]:
    """Every tensor of the checkpoint, in the order of the model's layers."""
    for name, shape in model.table().shapes().items():
        plain = dtype is Dtype.F8_E4M3 and (len(shape) == 1 or any(part in name for part in NEVER_FP8))
        found = Dtype.F32 if name.endswith("correction_bias") else Dtype.BF16 if plain else dtype
        info = TensorInfo(dtype=found, shape=shape)
        yield name, info
        if found is Dtype.F8_E4M3:
            yield name + SCALE_SUFFIX, TensorInfo(dtype=Dtype.F32, shape=BLOCK.grid(info))


def _write(folder: Path, tensors: Mapping[str, TensorInfo], *, headers_only: bool) -> None:
    """Shards of at most SHARD_BYTES, or one larger tensor, and their index."""
    shards: list[dict[str, TensorInfo]] = [{}]
    filled = 0
    for name, info in tensors.items():
        if filled and filled + info.size_bytes > SHARD_BYTES:
            shards.append({})
            filled = 0
        shards[-1][name] = info
        filled += info.size_bytes
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        weight_map.update(dict.fromkeys(shard, file))
        _write_shard(folder / file, shard, seed=number, headers_only=headers_only)
    index = {"metadata": {"total_size": sum(it.size_bytes for it in tensors.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _write_shard(path: Path, shard: Mapping[str, TensorInfo], *, seed: int, headers_only: bool) -> None:
    generator = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(render_header(shard, {"format": "pt"}))
        if headers_only:
            file.truncate(file.tell() + sum(info.size_bytes for info in shard.values()))
            return
        for name, info in shard.items():
            _values(name, info, generator).tofile(file)


def _values(name: str, info: TensorInfo, generator: np.random.Generator) -> Any:
    """Norms near 1, scales of 1/1024, weights of either sign between 2⁻⁶ and 2⁻⁵ (in FP8: of any finite code)."""
    count = prod(info.shape)
    if info.dtype is Dtype.F8_E4M3:
        codes = np.frombuffer(generator.bytes(count), np.uint8)
        return np.where(codes & 0x7F == 0x7F, np.uint8(0x70), codes)
    if name.endswith(SCALE_SUFFIX):
        return np.full(count, 2.0**-10, np.float32)
    bits = np.frombuffer(generator.bytes(2 * count), np.uint16)
    exponent = np.uint16(0x3F80 if "norm" in name else 0x3C80)
    mantissa = np.uint16(0x000F if "norm" in name else 0x807F)
    bf16 = (bits & mantissa) | exponent
    return bf16 if info.dtype is Dtype.BF16 else (bf16.astype(np.uint32) << np.uint32(16)).view(np.float32)


if __name__ == "__main__":
    main()
