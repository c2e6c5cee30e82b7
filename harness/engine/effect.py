"""What a job says of itself in its log: the set-up in effect when it starts, the memory it took when it ends."""

import json
import os
import platform
import re
import resource
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from megatron.training.training import num_floating_point_operations

from harness.arch.dispatcher import token_dispatcher
from harness.arch.precision import lowest_precision
from harness.engine import router
from harness.engine.experts import GroupedExperts


def announce(args: Any, model: list[Any], *, on_cpu: bool) -> None:
    """Print the set-up in effect, from rank 0. Every rank must call it."""
    holds_grouped = any(isinstance(part, GroupedExperts) for chunk in model for part in chunk.modules())
    ranks = _gathered((_host(), holds_grouped))
    setup = {
        "world_size": len(ranks),
        **parallel(args),
        "dispatcher": _dispatcher(args),
        "group_score": router.group_score() if args.moe_router_group_topk else None,
        "precision": _precision(args),
        "grouped_gemm": any(grouped for _, grouped in ranks),
        "device": "cpu" if on_cpu else "cuda",
        "mtp_layers": args.mtp_num_layers or 0,
        "versions": versions(on_cpu=on_cpu),
        "hosts": sorted({host for host, _ in ranks}),
        "gpu": None if on_cpu else torch.cuda.get_device_name(),
        "flops_per_step": num_floating_point_operations(args, args.global_batch_size),
    }
    state("moe-harness: in effect ", setup)


def report_peak_memory(*, on_cpu: bool) -> None:
    """Print the largest memory each rank took, from rank 0. Every rank must call it."""
    rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak_bytes = rss_bytes if on_cpu else torch.cuda.max_memory_allocated()
    state(
        "moe-harness: peak memory ",
        {"per_rank_bytes": _gathered(peak_bytes), "kind": "rss" if on_cpu else "cuda_allocated"},
    )


def _host() -> str:
    """This node as Slurm names it, where Slurm started it; two nodes may share a machine."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def parallel(args: Any) -> dict[str, int]:
    """The size of each kind of parallelism."""
    return {
        "tp": args.tensor_model_parallel_size,
        "pp": args.pipeline_model_parallel_size,
        "vpp": args.virtual_pipeline_model_parallel_size or 1,
        "ep": args.expert_model_parallel_size,
        "etp": args.expert_tensor_parallel_size,
        "cp": args.context_parallel_size,
        "dp": args.data_parallel_size,
    }


def _dispatcher(args: Any) -> str | None:
    if args.num_experts is None:
        return None
    kind, backend = str(args.moe_token_dispatcher_type), args.moe_flex_dispatcher_backend
    return str(token_dispatcher(kind, backend, deepep=bool(args.moe_enable_deepep)))


def _precision(args: Any) -> str:
    found = lowest_precision(
        fp4=bool(args.fp4), fp8=bool(args.fp8), recipe=args.fp8_recipe, bf16=args.bf16, fp16=args.fp16
    )
    return found.recorded


def versions(*, on_cpu: bool) -> dict[str, str | None]:
    """What this rank computes with; None for what is not there."""
    nccl = None if on_cpu else ".".join(str(part) for part in torch.cuda.nccl.version())
    return {
        "megatron_core": version("megatron-core"),
        "torch": torch.__version__,
        "transformer_engine": _installed("transformer-engine"),
        "cuda": None if on_cpu else torch.version.cuda,
        "nccl": nccl,
        "driver": _driver(),
        "python": platform.python_version(),
    }


def _driver() -> str | None:
    """The NVIDIA kernel driver's version, as it states it itself; None without one."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    found = re.search(r"Module.*?(\d+\.\d+(?:\.\d+)?)", text)
    return found[1] if found else None


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _gathered(value: Any) -> list[Any]:
    """The values of all ranks, in the order of ranks."""
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def state(lead: str, content: Mapping[str, Any]) -> None:
    """Print a statement of the job, from rank 0: a line that goes on with a JSON object."""
    if torch.distributed.get_rank() == 0:
        # One write, so that no other rank's output lands inside the line.
        os.write(1, f"{lead}{json.dumps(content)}\n".encode())
