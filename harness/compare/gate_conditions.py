"""What must be equal in a run and its baseline for their step times, and what for their losses."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from harness.checkpoint.network_flags import NETWORK, NOT_COMPARED
from harness.compare.measured_run import MeasuredRun
from harness.compare.run_likeness import run_conditions, run_document
from harness.runs.record import RunRecord
from harness.training.result import training_result

type Conditions = Mapping[str, str]
"""By the name of a condition its value as text."""

_NONE = "none"  # the value of what is not set

_LOSS_FLAGS = (
    "--seed",
    "--lr",
    "--min-lr",
    "--lr-decay-style",
    "--lr-decay-iters",
    "--lr-decay-samples",
    "--lr-warmup-fraction",
    "--lr-warmup-iters",
    "--lr-warmup-samples",
    "--train-iters",
    "--train-samples",
    "--weight-decay",
    "--clip-grad",
    "--optimizer",
    "--adam-beta1",
    "--adam-beta2",
    "--init-method-std",
    "--attention-dropout",
    "--hidden-dropout",
    "--moe-aux-loss-coeff",
    "--moe-z-loss-coeff",
    "--split",
    "--mock-data",
    "--tokenizer-type",
    "--log-interval",
)
_PATHS = ("--data-path", "--load", "--pretrained-checkpoint", "--tokenizer-model")


def step_conditions(record: RunRecord) -> dict[str, str]:
    """What a step's time depends on beside speed: the same work on as many GPUs of one kind."""
    result = training_result(record.result)
    stated = result.in_effect if result else None
    device = (stated.gpu or stated.device) if stated else None
    gpus = result.world_size if result else None
    return {
        **_work(record),
        **_set_flags(record, [flag for flag in (*NETWORK, "--vocab-size") if flag not in NOT_COMPARED]),
        "global batch size": record.resolved.megatron_args.text("--global-batch-size") or _NONE,
        **({"GPUs": str(gpus)} if gpus else {}),
        **({"device": device} if device else {}),
    }


def loss_conditions(record: RunRecord) -> dict[str, str]:
    """What decides a loss curve beside the network: data, seed, the course of the learning rate.

    Of paths the last part counts: the same data lies elsewhere on another machine.
    """
    paths = _set_flags(record, _PATHS)
    shortened = {flag: " ".join(PurePath(word).name for word in text.split()) for flag, text in paths.items()}
    return _set_flags(record, _LOSS_FLAGS) | shortened


def differing(first: Conditions, second: Conditions) -> list[str]:
    """`model: B, not A` for each condition in which the second differs from the first.

    A flag that one side lacks is not set there; of what is stated by the run itself, only what both know counts.
    """
    return [
        f"{name}: {second.get(name, _NONE)}, not {first.get(name, _NONE)}"
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name) and (name.startswith("--") or {name} <= first.keys() & second.keys())
    ]


def unlike(first: Conditions, others: Iterable[tuple[str, Conditions]], first_name: str) -> list[str]:
    """A line for each difference of the others, by their names, from the first."""
    return [
        f"{name} is unlike {first_name}: {difference}"
        for name, conditions in others
        for difference in differing(first, conditions)
    ]


def _work(record: RunRecord) -> dict[str, str]:
    """What `runs compare` asks of runs, in its words; of a run without figures, what is known of it."""
    document = run_document(MeasuredRun(record=record))
    values = ((condition.words, document[key]) for condition in run_conditions([document]) for key in condition.paths)
    return {words: _NONE if value is None else str(value) for words, value in values}


def _set_flags(record: RunRecord, names: Iterable[str]) -> dict[str, str]:
    """Those of the flags that are set, as text: a switch as `on`."""
    flags = record.resolved.megatron_args
    values = ((name, flags.text(name) or ("on" if flags.switch(name) else "")) for name in names)
    return {name: value for name, value in values if value}
