"""Number formats: what the experts' grouped GEMM and the padding for quantized GEMMs ask for."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.violation import Case, Violation, names

PADDING = ("--moe-router-padding-for-fp8", "--moe-router-padding-for-quantization")
WITHOUT_PADDING = ("allgather", "alltoall_seq")
GROUPED_GEMM_OF_ANY_PRECISION = Release(0, 16)  # first release that does not insist on bf16
PADDING_FOR_FP4 = Release(0, 16)
FP16_EXPERTS = Release(0, 16)  # first release that splits experts trained in fp16


def grouped_gemm(case: Case) -> Iterator[Violation]:
    """Early grouped GEMMs multiply bf16 only (validate_args)."""
    args = case.args
    if args.switch("--bf16") or not args.switch("--moe-grouped-gemm") or case.release >= GROUPED_GEMM_OF_ANY_PRECISION:
        return
    yield Violation(
        constraint="grouped-gemm",
        message=f"--moe-grouped-gemm with {'fp16' if args.switch('--fp16') else 'fp32'}; "
        "allowed before Megatron 0.16: bf16",
        fix="PR=bf16, or MOE_GROUPED_GEMM=0",
        names=("PR", "MOE_GROUPED_GEMM", "--moe-grouped-gemm"),
    )


def fp16_experts(case: Case) -> Iterator[Violation]:
    """Early expert parallelism leaves fp16's loss scale out of account (validate_args)."""
    ep = case.parallel.ep
    if ep > 1 and case.args.switch("--fp16") and case.release < FP16_EXPERTS:
        yield Violation(
            constraint="fp16-experts",
            message=f"EP={ep} with --fp16; allowed before Megatron 0.16: EP=1, or bf16",
            fix="--bf16 in place of --fp16, or EP=1",
            names=names("--fp16", "EP"),
        )


def quantization_padding(case: Case) -> Iterator[Violation]:
    """Padding each expert's tokens to the block of a quantized GEMM is the dispatcher's work (TransformerConfig)."""
    padding = next((flag for flag in PADDING if case.args.switch(flag)), None)
    if padding is None:
        return
    kind = case.dispatcher
    if kind in WITHOUT_PADDING:
        yield Violation(
            constraint="quantization-padding",
            message=f"{padding} with the {kind} dispatcher; allowed: alltoall, flex",
            fix=f"MOE_TOKEN_DISPATCHER=alltoall, or leave {padding} out",
            names=names("MOE_TOKEN_DISPATCHER", padding),
        )
    formats = ("--fp8-format", "--fp4-format") if case.release >= PADDING_FOR_FP4 else ("--fp8-format",)
    if not any(flag in case.args for flag in formats):
        yield Violation(
            constraint="quantization-padding",
            message=f"{padding} without quantized GEMMs; allowed: with {' or '.join(formats)}",
            fix=f"PR=fp8, or leave {padding} out",
            names=("PR", padding),
        )
