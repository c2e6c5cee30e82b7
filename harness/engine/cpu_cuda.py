"""The part of `torch.cuda` that Megatron calls, answered by the CPU."""

import contextlib
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import torch

CPU = torch.device("cpu")
# Megatron's parser wants 8 for --moe-grouped-gemm, and below 10 it wants CUDA_DEVICE_MAX_CONNECTIONS, of no use here.
_CAPABILITY = (10, 0)
# `manual_seed_all` among them: `torch.manual_seed` calls it, and seeds the CPU's generator itself.
_SILENT = (
    "set_device",
    "set_stream",
    "synchronize",
    "empty_cache",
    "reset_peak_memory_stats",
    "reset_max_memory_allocated",
    "reset_accumulated_memory_stats",
    "manual_seed_all",
    "seed_all",
    "init",
    "_lazy_init",
    "check_error",
)
_ZERO = ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved", "device_memory_used")


class CpuEvent:
    """A point in a stream. On the CPU all work before it is done when it is recorded."""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        """Take CUDA's options and need none."""

    def record(self, *_args: Any) -> None:
        """Nothing is pending."""

    def wait(self, *_args: Any) -> None:
        """Nothing is pending."""

    def synchronize(self) -> None:
        """Nothing is pending."""

    def query(self) -> bool:
        """Say that all work before the event is done."""
        return True


class CpuStream:
    """A queue of work. On the CPU there is one, and it is always empty."""

    device = CPU
    cuda_stream = 0

    def __init__(self, *_args: Any, **_options: Any) -> None:
        """Take CUDA's options and need none."""

    def __enter__(self) -> Self:
        """Work inside `with` runs at once, like all work."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Leave nothing behind."""

    def wait_stream(self, *_args: Any) -> None:
        """Nothing is pending."""

    def wait_event(self, *_args: Any) -> None:
        """Nothing is pending."""

    def synchronize(self) -> None:
        """Nothing is pending."""

    def record_event(self, event: CpuEvent | None = None) -> CpuEvent:
        """Hand back an event that has passed already."""
        return event or CpuEvent()

    def query(self) -> bool:
        """Say that no work is pending."""
        return True


class _OneGenerator:
    """`torch.cuda.default_generators`: whatever the device, the CPU's generator."""

    def __getitem__(self, _device: object) -> torch.Generator:
        return torch.default_generator


def _constant(value: Any = None) -> Callable[..., Any]:
    """A function of its own that ignores its arguments. (Dynamo refuses one function under two names.)"""
    return lambda *_args, **_options: value


def _call_now(callback: Any, **_options: Any) -> None:
    """Call at once what CUDA would keep until it is initialized."""
    callback()


def _seed(seed: int) -> None:
    torch.default_generator.manual_seed(int(seed))


def _get_rng_state(device: object = None) -> torch.Tensor:
    return torch.default_generator.get_state()


def _set_rng_state(state: torch.Tensor, device: object = None) -> None:
    torch.default_generator.set_state(state)


def _properties(_device: object = None) -> SimpleNamespace:
    """What is asked of a GPU's properties."""
    return SimpleNamespace(
        name="cpu", major=_CAPABILITY[0], minor=_CAPABILITY[1], total_memory=0, multi_processor_count=0
    )


def _stand_ins() -> dict[str, Any]:
    """Each name in `torch.cuda` with its answer on a CPU rank."""
    return {
        **{name: _constant() for name in _SILENT},
        **{name: _constant(0) for name in _ZERO},
        "is_available": _constant(True),
        "is_initialized": _constant(True),
        "is_bf16_supported": _constant(True),
        "is_current_stream_capturing": _constant(False),
        "device_count": _constant(1),
        "current_device": _constant(CPU),
        "device": _constant(contextlib.nullcontext()),
        "get_device_name": _constant("cpu"),
        "get_device_capability": _constant(_CAPABILITY),
        "get_device_properties": _properties,
        "memory_stats": _constant(Counter()),  # every statistic is 0
        "mem_get_info": _constant((0, 0)),
        "Stream": CpuStream,
        "Event": CpuEvent,
        "stream": _constant(contextlib.nullcontext()),
        "current_stream": _constant(CpuStream()),
        "default_stream": _constant(CpuStream()),
        "default_generators": _OneGenerator(),
        "manual_seed": _seed,
        "get_rng_state": _get_rng_state,
        "set_rng_state": _set_rng_state,
        "_lazy_call": _call_now,
    }


def install() -> None:
    """Put the stand-ins in place of `torch.cuda`'s functions."""
    for name, stand_in in _stand_ins().items():
        setattr(torch.cuda, name, stand_in)
    for name in ("get_rng_state", "set_rng_state", "manual_seed", "manual_seed_all"):
        setattr(torch.cuda.random, name, getattr(torch.cuda, name))
    for name in ("range_push", "range_pop", "mark"):
        setattr(torch.cuda.nvtx, name, _constant())
    # Data loaders and autograd ask here, beside `torch.cuda`, whether there is a device to pin memory for.
    torch.accelerator.is_available = _constant(False)
    torch.optim.Optimizer._cuda_graph_capture_health_check = _constant()
