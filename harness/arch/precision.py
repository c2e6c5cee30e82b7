"""The precision of a job's GEMMs: from the flags that ask for it, and from the arguments that Megatron prints."""

from enum import StrEnum
from typing import Literal

from harness.config.megatron_args import MegatronArgs

type NumberFormat = Literal["fp32", "bf16", "fp8", "fp4"]
"""What multiplies on tensor cores at a rate of its own; fp32 does as TF32, where there is TF32."""


class Precision(StrEnum):
    """What GEMMs multiply in, and for fp8 how its values are scaled. The value is the name that predictions print."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8_DELAYED = "fp8-delayed"
    FP8_TENSORWISE = "fp8-tensorwise"
    FP8_BLOCKWISE = "fp8-blockwise"
    MXFP8 = "mxfp8"
    NVFP4 = "nvfp4"

    @property
    def number_format(self) -> NumberFormat:
        """The format whose peak its GEMMs have: fp16 runs as fast as bf16, mxfp8 as fp8."""
        if self is Precision.FP32:
            return "fp32"
        if self is Precision.NVFP4:
            return "fp4"
        return "fp8" if self.quantised else "bf16"

    @property
    def quantised(self) -> bool:
        """Whether the inputs of GEMMs are cast to eight or four bits first."""
        return self not in (Precision.FP32, Precision.FP16, Precision.BF16)

    @property
    def element_bytes(self) -> int:
        """Bytes of an activation between GEMMs."""
        return 4 if self is Precision.FP32 else 2

    @property
    def recorded(self) -> str:
        """The name in a run's record: `nvfp4`, `mxfp8`, `fp8` (of any other recipe), `bf16`, `fp16` or `fp32`."""
        return "fp8" if self.value.startswith("fp8") else self.value


_FP8_RECIPES = {
    "delayed": Precision.FP8_DELAYED,
    "tensorwise": Precision.FP8_TENSORWISE,
    "blockwise": Precision.FP8_BLOCKWISE,
    "mxfp8": Precision.MXFP8,
}


def lowest_precision(*, fp4: bool, fp8: bool, recipe: str | None, bf16: bool, fp16: bool) -> Precision:
    """The lowest precision that is turned on. `recipe` is that of fp8; Megatron's default is delayed scaling."""
    if fp4:
        return Precision.NVFP4
    if fp8:
        return _FP8_RECIPES.get(recipe or "delayed", Precision.FP8_DELAYED)
    return Precision.BF16 if bf16 else Precision.FP16 if fp16 else Precision.FP32


def asked_precision(args: MegatronArgs) -> Precision:
    """The precision that the flags ask for."""
    return lowest_precision(
        fp4="--fp4-format" in args,
        fp8="--fp8-format" in args,
        recipe=args.text("--fp8-recipe"),
        bf16=args.switch("--bf16"),
        fp16=args.switch("--fp16"),
    )


def recorded_precision(text: str) -> Precision | None:
    """The precision that a record names, None for a name that is not known. A bare `fp8` means delayed scaling."""
    return next((precision for precision in Precision if text in (precision.value, precision.recorded)), None)
