"""A random Hugging Face checkpoint of any model's architecture, for trials and benchmarks.

    python tools/random_checkpoint.py FOLDER [--dtype bf16|fp32|fp8] [--headers-only] [KEY=VALUE …] [-- Megatron flags]

The shape is that of `moe-harness resolve` with the same words: `MODEL=DeepSeek-V2-Lite` alone gives the laptop's proxy,
`PROXY=none` the full model. --headers-only makes sparse files that hold headers alone and take no space.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ckpt_convert.assembly import Assembly
from ckpt_convert.blueprint import HuggingFaceBlueprint
from ckpt_convert.families.model import Model, model_of_megatron
from ckpt_convert.families.namespace import namespace_of
from ckpt_convert.families.table import WORD_EMBEDDINGS
from ckpt_convert.fp8 import SCALE_SUFFIX, BlockShape
from ckpt_convert.tensors import Dtype, TensorInfo
from ckpt_convert.writing.files import OutputFile, TensorSlice
from ckpt_convert.writing.hugging_face import hugging_face_files
from harness.checkpoint.network_flags import SAVED
from harness.config.megatron_args import MegatronArgs
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.sources import resolve_request

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
    tensors = tuple(_tensors(model, DTYPES[asked.dtype]))
    files = hugging_face_files(HuggingFaceBlueprint(tensors=tensors, config=model.config), SHARD_BYTES)
    asked.folder.mkdir(parents=True)
    copies = model.table().copies
    for file in files:
        _write(asked.folder / file.name, file, copies, headers_only=asked.headers_only)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after `--`."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _model(words: list[str], extra: list[str], *, fp8: bool) -> Model:
    """The model that a checkpoint trained with these words would be."""
    flags = resolve_request(Request(arguments=words, extra=extra, environ=os.environ), Roots.standard()).megatron_args
    network = MegatronArgs({flag: flags[flag] for flag in (*SAVED, "--vocab-size") if flag in flags})
    embedding = TensorInfo(dtype=Dtype.BF16, shape=(flags.integer("--vocab-size"), flags.integer("--hidden-size")))
    model = model_of_megatron(namespace_of(network), {WORD_EMBEDDINGS: embedding}, " ".join(words), None)
    if not fp8:
        return model
    quantised = {"quant_method": "fp8", "weight_block_size": [BLOCK.rows, BLOCK.columns]}
    return replace(model, config={**model.config, "quantization_config": quantised})


def _tensors(model: Model, dtype: Dtype) -> Iterator[Assembly]:
    """Every tensor of the checkpoint, in the order of the model's layers."""
    for name, shape in model.table().shapes().items():
        plain = dtype is Dtype.F8_E4M3 and (len(shape) == 1 or any(part in name for part in NEVER_FP8))
        found = Dtype.F32 if name.endswith("correction_bias") else Dtype.BF16 if plain else dtype
        tensor = Assembly(name=name, dtype=found, shape=shape, parts=())
        yield tensor
        if found is Dtype.F8_E4M3:
            yield Assembly(name=name + SCALE_SUFFIX, dtype=Dtype.F32, shape=BLOCK.grid(tensor.info), parts=())


def _write(path: Path, file: OutputFile, copies: Mapping[str, str], *, headers_only: bool) -> None:
    """A file of the checkpoint; what is a copy of another tensor gets the same numbers."""
    with path.open("wb") as stream:
        for piece in file.pieces:
            if not isinstance(piece, TensorSlice):
                stream.write(piece)
            elif not headers_only:
                original = copies.get(piece.name, piece.name)
                _values(original, piece.info, np.random.default_rng(list(original.encode()))).tofile(stream)
        stream.truncate(file.size_bytes)


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
