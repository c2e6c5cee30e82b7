"""Whether an image is what its pins say: `python check_image.py`, the last step of its build.

`python /opt/image/check_image.py --node` asks again on a node, where there are a driver and a GPU: that everything
imports, that the GPU is of the generation that the image was compiled for, and that a grouped GEMM runs on it.
Exit code 1 with all that is wrong, one line each, on stderr.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

IMAGE = Path(__file__).resolve().parent
"""/opt/image: the pins, what installed them, and this script."""
PROGRAMS = ("python", "nsys", "nvcc", "git")
"""`nsys` is what PROFILE=nsys calls; with `nvcc` HybridEP compiles kernels for the shapes of a run."""

type Installed = Callable[[str], str | None]


def main(words: list[str]) -> int:
    """Check the image that this runs in; 0 if nothing is wrong."""
    pins = read_pins((IMAGE / "versions.env").read_text())
    capabilities = os.environ["TORCH_CUDA_ARCH_LIST"].split()
    wrong = [*packages(IMAGE, installed_version), *deep_ep(pins, capabilities, installed_version)]
    wrong += [*transformer_engine(pins, installed_version), *megatron(pins), *programs(shutil.which)]
    if not wrong:
        wrong += node(capabilities) if "--node" in words else import_errors("torch", "transformer_engine.pytorch")
    if not wrong:
        print("\n".join(found()))
    print("".join(f"wrong: {line}\n" for line in wrong), file=sys.stderr, end="")
    return 1 if wrong else 0


def read_pins(text: str) -> Mapping[str, str]:
    """`NAME=value` lines, as a shell would read them; no quotes, no blanks."""
    return dict(re.findall(r"^([A-Z_]+)=(\S+)$", text, re.MULTILINE))


def read_requirements(text: str) -> Mapping[str, str]:
    """`name==version` lines of a requirements file, or of what `pip list --format=freeze` prints."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))


def installed_version(name: str) -> str | None:
    """The version of an installed distribution; None without it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def packages(image: Path, installed: Installed) -> Iterator[str]:
    """What requirements.txt pins is installed, and torch and numpy are still the base image's (base.txt)."""
    base = read_requirements((image / "base.txt").read_text())
    yield from (f"base.txt does not say which {name} the base image has" for name in {"torch", "numpy"} - base.keys())
    wanted = {**base, **read_requirements((image / "requirements.txt").read_text())}
    for name, version in wanted.items():
        if installed(name) != version:
            yield f"{name} is {installed(name)}, not {version}"


def transformer_engine(pins: Mapping[str, str], installed: Installed) -> Iterator[str]:
    """Transformer Engine's version is that of its tag, with the commit behind a plus: `2.8.0+40c69e75`."""
    wanted, has = pins["TE_TAG"].removeprefix("v"), installed("transformer_engine") or "missing"
    release, _, commit = has.partition("+")
    if not f"{release}.".startswith(f"{wanted}.") or not pins["TE_COMMIT"].startswith(commit or "none"):
        yield f"transformer_engine is {has}, not {wanted} of {pins['TE_COMMIT'][:8]}"


def deep_ep(pins: Mapping[str, str], capabilities: list[str], installed: Installed) -> Iterator[str]:
    """DeepEP is of its commit (`1.2.1+34152ae`) from Hopper on, with NVSHMEM; before that it is not there."""
    has = installed("deep_ep")
    if min(float(capability) for capability in capabilities) < 9:
        if has is not None:
            yield f"deep_ep {has} is there, which has nothing for compute capability {' '.join(capabilities)}"
        return
    commit = (has or "").partition("+")[2]
    if not commit or not pins["DEEPEP_COMMIT"].startswith(commit):
        yield f"deep_ep is {has}, not of {pins['DEEPEP_COMMIT'][:8]}"
    if installed("nvidia-nvshmem-cu13") != pins["NVSHMEM_VERSION"]:
        yield f"nvidia-nvshmem-cu13 is {installed('nvidia-nvshmem-cu13')}, not {pins['NVSHMEM_VERSION']}"


def megatron(pins: Mapping[str, str]) -> Iterator[str]:
    """Megatron-LM is at its commit, has what the launch runs, and its data sets' helper is compiled."""
    root = Path(pins["MEGATRON_PATH"])
    head = (root / ".git/HEAD").read_text().strip() if (root / ".git/HEAD").is_file() else "missing"
    if head != pins["MEGATRON_COMMIT"]:
        yield f"{root} is at {head}, not {pins['MEGATRON_COMMIT']}"
    for pattern in ("pretrain_gpt.py", "megatron/core/datasets/helpers_cpp*.so"):
        if not any(root.glob(pattern)):
            yield f"{root} has no {pattern}"


def programs(which: Callable[[str], str | None]) -> Iterator[str]:
    """What a job calls is on PATH."""
    yield from (f"{name} is not on PATH" for name in PROGRAMS if which(name) is None)


def import_errors(*names: str) -> Iterator[str]:
    """What cannot be imported, and why. Transformer Engine imports without a driver, DeepEP does not."""
    for name in names:
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError) as error:
            yield f"import {name}: {error}"


def node(capabilities: list[str]) -> Iterator[str]:
    """What shows only beside a GPU: the imports of a job, the generation, and one grouped GEMM there and back."""
    optional = ("deep_ep",) if installed_version("deep_ep") else ()
    names = ("torch", "transformer_engine.pytorch", "megatron.core.extensions.transformer_engine", *optional)
    failed = list(import_errors(*names))
    if failed:
        yield from failed
        return
    torch = import_module("torch")
    if not torch.cuda.is_available():
        yield "torch sees no GPU: is there a driver for CUDA 13 (580 or newer), and was the GPU passed in?"
        return
    major, minor = torch.cuda.get_device_capability()
    if str(major) not in {capability.split(".")[0] for capability in capabilities}:
        has = f"{torch.cuda.get_device_name()} (compute capability {major}.{minor})"
        yield f"the GPU is {has}, and this image was compiled for {' '.join(capabilities)}"
        return
    yield from grouped_gemm(torch, import_module("transformer_engine.pytorch"))


def grouped_gemm(torch: ModuleType, te: ModuleType) -> Iterator[str]:
    """Two experts of 64 × 64, 16 tokens each, in bf16, forward and backward."""
    experts = te.GroupedLinear(2, 64, 64, bias=False, params_dtype=torch.bfloat16, device="cuda")
    tokens = torch.ones(32, 64, dtype=torch.bfloat16, device="cuda", requires_grad=True)
    experts(tokens, [16, 16]).sum().backward()
    if not torch.isfinite(tokens.grad).all():
        yield "a grouped GEMM's gradient is not finite"


def found() -> Iterator[str]:
    """The versions in the image, for the build's log and for whoever asks on a node."""
    torch = import_module("torch")
    nsys = subprocess.run(["nsys", "--version"], capture_output=True, text=True, check=False)
    yield f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    yield f"NCCL {'.'.join(map(str, torch.cuda.nccl.version()))}"
    yield nsys.stdout.strip()
    for name in ("transformer_engine", "deep_ep", "megatron-core"):
        yield f"{name} {installed_version(name) or '–'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
