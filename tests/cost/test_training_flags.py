"""Which flag says what of a job, and that a flag which states Megatron's own default says nothing."""

from operator import attrgetter

import pytest
from planned import planned

from harness.arch.model import model_arch
from harness.arch.precision import Precision
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import EMBEDDED_RELEASE, load
from harness.cost.training import Training
from harness.cost.training_flags import training

RANKS = 1024
FLAGS = planned("MODEL=DeepSeek-V3", "TP=2", "PP=8", "VPP=4", "EP=64", "NNODES=128", "GBS=8192").megatron_args
SAID = (  # what is written, what is left out, of which the job says so
    ("--fp16", "--bf16", "precision", Precision.FP16),
    ("--fp16", "--bf16", "optimizer.grad_bytes", 2),
    ("--fp16", "--bf16", "optimizer.main_weight_bytes", 4),
    ("", "--bf16", "precision", Precision.FP32),
    ("", "--bf16", "optimizer.main_weight_bytes", 0),
    ("--fp8-format hybrid", "", "precision", Precision.FP8_DELAYED),
    ("--fp8-format hybrid --fp8-recipe delayed", "", "precision", Precision.FP8_DELAYED),
    ("--fp8-format e4m3 --fp8-recipe tensorwise", "", "precision", Precision.FP8_TENSORWISE),
    ("--fp8-format e4m3 --fp8-recipe blockwise", "", "precision", Precision.FP8_BLOCKWISE),
    ("--fp8-format e4m3 --fp8-recipe mxfp8", "", "precision", Precision.MXFP8),
    ("--fp4-format e2m1", "", "precision", Precision.NVFP4),
    ("", "", "optimizer.fp8_weights", False),
    ("--fp8-param-gather", "", "optimizer.fp8_weights", True),
    ("", "", "optimizer.grad_bytes", 4),
    ("--grad-reduce-in-bf16", "", "optimizer.grad_bytes", 2),
    ("--use-precision-aware-optimizer", "", "optimizer.precision_aware", True),
    ("--use-precision-aware-optimizer --main-grads-dtype bf16", "", "optimizer.main_grad_bytes", 2),
    ("--use-precision-aware-optimizer --main-params-dtype fp16", "", "optimizer.main_weight_bytes", 2),
    ("--use-precision-aware-optimizer --exp-avg-dtype bf16", "", "optimizer.exp_avg_bytes", 2),
    ("--use-precision-aware-optimizer --exp-avg-sq-dtype fp8", "", "optimizer.exp_avg_sq_bytes", 1),
    ("--use-precision-aware-optimizer", "", "optimizer.exp_avg_sq_bytes", 4),
    ("--exp-avg-dtype bf16", "", "optimizer.exp_avg_bytes", 4),
    ("", "", "optimizer.distributed", True),
    ("", "--use-distributed-optimizer", "optimizer.distributed", False),
    ("--optimizer-cpu-offload", "", "optimizer.offloaded", 1.0),
    ("--optimizer-cpu-offload --optimizer-offload-fraction 0.25", "", "optimizer.offloaded", 0.25),
    ("--optimizer-offload-fraction 0.25", "", "optimizer.offloaded", 0.0),
    ("", "", "overlap.grad_reduce", True),
    ("", "--overlap-grad-reduce", "overlap.grad_reduce", False),
    ("", "", "overlap.param_gather", True),
    ("", "--overlap-param-gather", "overlap.param_gather", False),
    ("--tp-comm-overlap", "", "overlap.tp_comm", True),
    ("--overlap-moe-expert-parallel-comm", "", "overlap.expert", True),
    ("--delay-wgrad-compute", "", "overlap.delay_wgrad", True),
    ("--moe-shared-expert-overlap", "", "overlap.shared_experts", True),
    ("", "--moe-token-dispatcher-type", "dispatcher", "allgather"),
    ("--moe-token-dispatcher-type allgather", "", "dispatcher", "allgather"),
    ("--moe-token-dispatcher-type alltoall", "", "dispatcher", "alltoall"),
    ("--moe-token-dispatcher-type flex", "--moe-flex-dispatcher-backend", "dispatcher", "deepep"),
    ("--moe-token-dispatcher-type flex --moe-flex-dispatcher-backend hybridep", "", "dispatcher", "hybridep"),
    ("", "", "sequence_parallel", True),
    ("", "--sequence-parallel", "sequence_parallel", False),
    ("--tensor-model-parallel-size 1", "", "sequence_parallel", False),
    ("", "", "grouped_gemm", True),
    ("", "--moe-grouped-gemm", "grouped_gemm", False),
    ("", "", "permute_fusion", True),
    ("", "--moe-permute-fusion", "permute_fusion", False),
    ("", "--cross-entropy-loss-fusion", "fused_cross_entropy", False),
    ("--cross-entropy-loss-fusion", "", "fused_cross_entropy", True),
    ("--cross-entropy-fusion-impl te", "", "te_cross_entropy", True),
    ("--cross-entropy-fusion-impl native", "", "te_cross_entropy", False),
    ("", "", "static_shapes", False),
    ("--moe-paged-stash", "", "static_shapes", True),
    ("--moe-pad-expert-input-to-capacity", "", "static_shapes", True),
    ("", "", "capacity_factor", None),
    ("--moe-expert-capacity-factor 1.25", "", "capacity_factor", 1.25),
    ("--moe-expert-capacity-factor 1.25", "", "imbalance", 1.0),
    ("--moe-router-force-load-balancing", "", "imbalance", 1.0),
    ("--fine-grained-activation-offloading --offload-modules moe_act", "", "offloaded_activations", {"moe_act"}),
    ("--offload-modules moe_act", "", "offloaded_activations", set()),
    ("--recompute-granularity full --recompute-method uniform", "", "recompute.granularity", "full"),
    ("--recompute-granularity full --recompute-num-layers 2", "", "recompute.layers", None),
    ("--recompute-granularity full --recompute-method block --recompute-num-layers 2", "", "recompute.layers", 2),
    ("--recompute-granularity full --recompute-method block", "", "recompute.method", "block"),
    ("--recompute-activations", "", "recompute.modules", {"core_attn"}),
    ("--recompute-granularity selective --recompute-modules moe mlp", "", "recompute.modules", {"moe", "mlp"}),
    ("--recompute-modules moe", "", "recompute.granularity", "none"),
)


def job(written: str = "", left_out: str = "") -> Training:
    flags = {flag: value for flag, value in FLAGS.items() if flag != left_out}
    for flag, *words in map(str.split, written.replace("--", "\n--").splitlines()[1:]):
        flags[flag] = True if not words else words[0] if len(words) == 1 else tuple(words)
    return training(MegatronArgs(flags), RANKS)


@pytest.mark.parametrize(("written", "left_out", "part", "value"), SAID)
def test_each_flag_says_its_own(written: str, left_out: str, part: str, value: object) -> None:
    assert attrgetter(part)(job(written, left_out)) == value


@pytest.mark.parametrize("model", ["DeepSeek-V3", "Mixtral-8x7B", "Qwen2-57B-A14B", "Qwen3-235B-A22B"])
def test_what_megatron_takes_anyway_changes_nothing_when_it_is_written(model: str) -> None:
    """Of every option that has a default: a flag's default in the code is its default in Megatron."""
    options = load(EMBEDDED_RELEASE).options
    flags = planned(f"MODEL={model}").megatron_args
    meant = {options[flag].dest for flag in flags}
    whole = training(flags, RANKS), model_arch(flags, model)
    stated = 0
    for flag, option in options.items():
        if option.default is None or option.is_switch or option.dest in meant:
            continue
        default: ArgValue = tuple(map(str, option.default)) if isinstance(option.default, list) else str(option.default)
        more = MegatronArgs({**flags, flag: default})
        assert (training(more, RANKS), model_arch(more, model)) == whole, flag
        stated += 1
    assert stated > 200
