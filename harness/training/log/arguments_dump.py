"""Parse the arguments that Megatron prints when it has validated them, 0.11 to 0.19.

`validate_args` of megatron/training/arguments.py prints the sizes of the mapping in one line and ends with
`_print_args`, which pads each name with dots to 48 columns. Both print on rank 0. The token dispatcher that they print
is the one that is built, in every release: MoELayer (megatron/core/transformer/moe/moe_layer.py) takes the type it is
given or raises, and TransformerConfig's `__post_init__` sets the flex backend only where `moe_enable_deepep` asks.
"""

import re
from collections.abc import Mapping

from harness.arch.dispatcher import token_dispatcher
from harness.arch.precision import lowest_precision
from harness.training.effective import Setup

_TITLE = "------------------------ arguments ------------------------"
_SIZES = "using world size: "
_DOTS = "." * 12 + " "  # after the longest of the names
_NAMES = (
    "bf16",
    "context_parallel_size",
    "data_parallel_size",
    "expert_model_parallel_size",
    "expert_tensor_parallel_size",
    "fp16",
    "fp4",
    "fp8",
    "fp8_recipe",
    "moe_enable_deepep",
    "moe_flex_dispatcher_backend",
    "moe_grouped_gemm",
    "moe_token_dispatcher_type",
    "mtp_num_layers",
    "num_experts",
    "pipeline_model_parallel_size",
    "tensor_model_parallel_size",
    "transformer_impl",
    "virtual_pipeline_model_parallel_size",
    "world_size",
)
# The dots are counted, so that a line torn in them is none; a value followed by other ranks' words is none either.
_PADDED = "|".join(rf"({name}) \.{{{48 - len(name)}}}" for name in _NAMES)
_ARGUMENT = re.compile(rf"(?<!\S)(?:{_PADDED}) ([\w-]{{1,40}})\s*$", re.ASCII)
_SIZE = re.compile(
    r"(?:using (world) size|(data|context|tensor-model|pipeline-model)-parallel size): (\d{1,9})(?=,|\s|$)", re.ASCII
)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


def begins_dump(line: str) -> bool:
    """Whether a line is the title after which the arguments follow."""
    return _TITLE in line


def parse_argument(line: str) -> tuple[str, str] | None:
    """Parse a line into the name and value of an argument that a setup is made from; None for any other line."""
    found = _ARGUMENT.search(line) if _DOTS in line else None
    if not found:
        return None
    name, value = (group for group in found.groups() if group)
    return name, value


def parse_sizes(line: str) -> Mapping[str, str] | None:
    """Parse the sizes that Megatron prints before its arguments, by the arguments' names; None for any other line."""
    at = line.find(_SIZES)
    if at < 0:
        return None
    sizes: dict[str, str] = {}
    for world, group, size in _SIZE.findall(line, at):
        # The first counts: releases before 0.15 go on with the encoder's, which end in the same words.
        sizes.setdefault("world_size" if world else f"{group.replace('-', '_')}_parallel_size", size)
    return sizes


def setup_of(arguments: Mapping[str, str]) -> Setup:
    """Derive the setup from printed arguments; what they leave open is None."""
    has_experts = arguments.get("num_experts", "None") != "None"
    return Setup(
        world_size=_count(arguments, "world_size"),
        tp=_count(arguments, "tensor_model_parallel_size"),
        pp=_count(arguments, "pipeline_model_parallel_size"),
        vpp=_count(arguments, "virtual_pipeline_model_parallel_size", none=1),
        ep=_count(arguments, "expert_model_parallel_size"),
        etp=_count(arguments, "expert_tensor_parallel_size"),
        cp=_count(arguments, "context_parallel_size"),
        dp=_count(arguments, "data_parallel_size"),
        dispatcher=_dispatcher(arguments) if has_experts else None,
        precision=_precision(arguments),
        grouped_gemm=_grouped_gemm(arguments) if has_experts else None,
        mtp_layers=_count(arguments, "mtp_num_layers", none=0),
    )


def _dispatcher(arguments: Mapping[str, str]) -> str | None:
    """The dispatcher; None until all arguments that decide it are printed."""
    kind = arguments.get("moe_token_dispatcher_type")
    if kind is None:
        return None
    deepep = arguments.get("moe_enable_deepep") == "True"
    found = token_dispatcher(kind, arguments.get("moe_flex_dispatcher_backend"), deepep=deepep)
    return None if kind == "flex" and found.backend is None else str(found)


def _precision(arguments: Mapping[str, str]) -> str | None:
    """The precision; None until all that decide it are printed. `fp8_recipe` exists from 0.12, `fp4` from 0.15 on."""
    if not arguments.keys() >= {"bf16", "fp16", "fp8"}:
        return None
    found = lowest_precision(
        fp4=arguments.get("fp4", "None") != "None",
        fp8=arguments["fp8"] != "None",
        recipe=arguments.get("fp8_recipe"),
        bf16=arguments["bf16"] == "True",
        fp16=arguments["fp16"] == "True",
    )
    return found.recorded


def _grouped_gemm(arguments: Mapping[str, str]) -> bool | None:
    """None for layers without Transformer Engine: before 0.17 they group too, later they silently do not."""
    asked = arguments.get("moe_grouped_gemm")
    if asked == "True":
        return True if arguments.get("transformer_impl") == "transformer_engine" else None
    return False if asked == "False" else None


def _count(arguments: Mapping[str, str], name: str, *, none: int | None = None) -> int | None:
    """A printed count; `none` where Megatron prints None."""
    value = arguments.get(name, "")
    return none if value == "None" else int(value) if _COUNT.fullmatch(value) else None
