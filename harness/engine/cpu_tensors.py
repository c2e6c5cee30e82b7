"""Tensors that Megatron asks for on the GPU, made on the CPU."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from harness.engine.cpu_cuda import CPU

_FACTORIES = (
    *("tensor", "as_tensor", "empty", "zeros", "ones", "full", "arange", "linspace", "eye", "empty_strided"),
    *("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like"),
    *("rand", "randn", "randint", "randperm"),
)
_KINDS = ("Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool")


def install() -> None:
    """Patch the factories, `Tensor` and `Module` of torch."""
    for name in _FACTORIES:
        setattr(torch, name, _on_cpu(getattr(torch, name)))
    for kind in _KINDS:
        setattr(torch.cuda, f"{kind}Tensor", getattr(torch, f"{kind}Tensor"))
    tensor: Any = torch.Tensor
    tensor.cuda = _stay
    tensor.pin_memory = _stay
    tensor.record_stream = _stay
    tensor.to = _on_cpu(_to_cpu(tensor.to))
    tensor.type = _typed_as_cuda(tensor.type)
    module: Any = torch.nn.Module
    module.cuda = _stay
    module.to = _on_cpu(_to_cpu(module.to))
    torch.load = _mapped_to_cpu(torch.load)


def is_cuda(device: object) -> bool:
    """Whether a device argument (`"cuda:1"`, `torch.device("cuda")`) asks for the GPU."""
    if isinstance(device, torch.device):
        return device.type == "cuda"
    return isinstance(device, str) and device.startswith("cuda")


def _stay(self: Any, *_args: Any, **_options: Any) -> Any:
    """`x.cuda()`: x where it is."""
    return self


def _on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose `device=` never says CUDA, and which pins no memory."""

    @wraps(function)
    def placed(*args: Any, **options: Any) -> Any:
        if is_cuda(options.get("device")):
            options["device"] = CPU
        if options.get("pin_memory"):
            options["pin_memory"] = False
        return function(*args, **options)

    return placed


def _to_cpu(method: Callable[..., Any]) -> Callable[..., Any]:
    """`x.to("cuda", …)` as `x.to("cpu", …)`."""

    @wraps(method)
    def moved(self: Any, *args: Any, **options: Any) -> Any:
        if args and is_cuda(args[0]):
            args = (CPU, *args[1:])
        return method(self, *args, **options)

    return moved


def _typed_as_cuda(method: Callable[..., Any]) -> Callable[..., Any]:
    """`x.type()` as on a GPU: the optimizer picks its master weights by names such as `torch.cuda.BFloat16Tensor`."""

    @wraps(method)
    def typed(self: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
        if dtype is None:
            return method(self).replace("torch.", "torch.cuda.", 1)
        if isinstance(dtype, str):
            dtype = dtype.replace("torch.cuda.", "torch.", 1)
        return method(self, dtype, *args, **options)

    return typed


def _mapped_to_cpu(load: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.load` whose tensors land on the CPU."""

    @wraps(load)
    def loaded(*args: Any, **options: Any) -> Any:
        if is_cuda(options.get("map_location")):
            options["map_location"] = CPU
        return load(*args, **options)

    return loaded
