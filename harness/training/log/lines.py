"""Parse single lines of a Megatron log, 0.11 to 0.19. A line of another kind, or a torn one, is None.

The iteration line is built by `training_log` of megatron/training/training.py, the memory line by `report_memory` of
its utils, the validation line by `evaluate_and_print_results`, the checkpoint line by checkpointing.py. Over these
releases the iteration line gained fields (MTP losses in 0.12, energy in 0.13, router metrics in 0.18) and microseconds
in its time stamp (0.16). Its head and its last two fields stayed; they tell a whole line from a torn one.

Logs of long runs are large and most of their lines state nothing: each pattern is tried only where its words occur.
"""

import re
from collections.abc import Iterator, Mapping

from harness.training.log.samples import CheckpointSaved, MemoryReport, StepSample, Validation

_LABEL = re.compile(r"\s*(?:(?P<task>\d+): ?)?(?:\[(?P<rank>[a-z]+\d+)\]: ?)?")
_HEAD = re.compile(
    r"(?:\[(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\] )?iteration +(?P<now>\d{1,12})/ *(?P<last>\d{1,12}) \|"
)
_TAIL = re.compile(r"number of skipped iterations: +\d+ \| number of nan iterations: +\d+ \|")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf|nan)", re.IGNORECASE | re.ASCII)
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_MTP = re.compile(r"mtp_(\d\d?) loss")
_FLOAT = r"([-+]?(?:\d+\.\d+(?:E[-+]\d+)?|INF|NAN))"
_MB = r"(\d{1,9}\.\d+)"
_MEMORY = re.compile(
    r"\[Rank (\d{1,9})\] \(after (\d{1,12}) iterations\) memory \(MB\)"
    rf" \| allocated: {_MB} \| max allocated: {_MB} \| reserved: {_MB} \| max reserved: {_MB}"
)
_VALIDATION = re.compile(
    r"validation(?:-(?P<dataset>\S{1,200}))? loss at iteration (?P<now>\d{1,12})(?: on (?P<split>\w+) set)? \|"
)
_LM_LOSS = re.compile(rf"\| lm loss value: {_FLOAT} \|(?: lm loss PPL: {_FLOAT} \|)?")
_SAVED = re.compile(r"successfully saved checkpoint from iteration +(\d{1,12}) to (.{1,1000}?) \[ t \d")
_SAVED_LOCAL = re.compile(r"successfully saved local checkpoint from iteration +(\d{1,12})\s*$")
_START = re.compile(r"\[before the start of training step\] datetime: [-\d]+ [:.\d]+")
_NCCL = re.compile(r"\bNCCL version (\d{1,4}(?:\.\d{1,4}){1,3})", re.ASCII)

_ELAPSED = "elapsed time per iteration (ms)"
_SKIPPED = "number of skipped iterations"
_NAN = "number of nan iterations"
_THROUGHPUT = "throughput per GPU (TFLOP/s/GPU)"
_REQUIRED = {_ELAPSED, _SKIPPED, _NAN}
_WHOLE = {"consumed samples", "global batch size", _SKIPPED, _NAN}
_KNOWN = {_THROUGHPUT, "lm loss", "grad norm", "learning rate", "loss scale", *_REQUIRED, *_WHOLE}
_MIB = 1024 * 1024  # Megatron prints MB and means MiB


def label(line: str) -> str:
    """The label of the rank that printed a line, by `srun -l` or torchrun (`12: `, `[rank3]:`); empty without one."""
    found = _LABEL.match(line)
    return "/".join(part for part in found.groups() if part) if found else ""


def start_text(line: str) -> str | None:
    """The statement, with its time, that a launch begins to train; None for any other line."""
    found = _START.search(line) if "[before the start of training step]" in line else None
    return found[0] if found else None


def iteration_texts(line: str) -> Iterator[str]:
    """Find the whole iteration lines within a line; other ranks' text around them, or a torn one, is skipped."""
    if _SKIPPED not in line:
        return
    heads = list(_HEAD.finditer(line))
    ends = [*(head.start() for head in heads[1:]), len(line)]
    for head, end in zip(heads, ends, strict=False):  # without a head, one end is left over
        tail = _TAIL.search(line, head.end(), end)
        if tail:
            yield line[head.start() : tail.end()]


def parse_iteration(text: str) -> StepSample | None:
    """Parse a whole iteration line; None if one of its fields is not a number, for then it is torn."""
    head = _HEAD.match(text)
    fields = _fields(text[head.end() :]) if head else None
    if head is None or fields is None or not fields.keys() >= _REQUIRED:
        return None
    skipped = int(fields[_SKIPPED])
    return StepSample(
        iteration=int(head["now"]),
        train_iters=int(head["last"]),
        printed_at=head["at"],
        consumed_samples=_whole(fields, "consumed samples"),
        step_s=fields[_ELAPSED] / 1000,
        global_batch_size=_whole(fields, "global batch size"),
        tflops_per_gpu=fields.get(_THROUGHPUT),
        loss=_loss(fields, "lm loss", skipped),
        mtp_losses=_mtp_losses(fields, skipped),
        grad_norm=fields.get("grad norm"),
        learning_rate=fields.get("learning rate"),
        loss_scale=fields.get("loss scale"),
        skipped=skipped,
        nan=int(fields[_NAN]),
        other={name: value for name, value in fields.items() if name not in _KNOWN and not _MTP.fullmatch(name)},
    )


def parse_memory(line: str) -> MemoryReport | None:
    """Parse the memory line of one rank."""
    found = _MEMORY.search(line) if ") memory (MB) |" in line else None
    if not found:
        return None
    allocated, max_allocated, reserved, max_reserved = (round(float(text) * _MIB) for text in found.groups()[2:])
    return MemoryReport(
        rank=int(found[1]),
        iteration=int(found[2]),
        allocated_bytes=allocated,
        max_allocated_bytes=max_allocated,
        reserved_bytes=reserved,
        max_reserved_bytes=max_reserved,
    )


def parse_validation(line: str) -> Validation | None:
    """Parse the loss on a validation or test set."""
    head = _VALIDATION.search(line) if " loss at iteration " in line else None
    loss = _LM_LOSS.search(line, head.end() - 1) if head else None
    if not head or not loss:
        return None
    return Validation(
        iteration=int(head["now"]),
        split=head["split"] or "validation",
        dataset=head["dataset"],
        loss=float(loss[1]),
        perplexity=float(loss[2]) if loss[2] else None,
    )


def parse_checkpoint(line: str) -> CheckpointSaved | None:
    """Parse the line that says that a checkpoint is complete."""
    if "successfully saved" not in line:
        return None
    if found := _SAVED.search(line):
        return CheckpointSaved(iteration=int(found[1]), path=found[2])
    if found := _SAVED_LOCAL.search(line):
        return CheckpointSaved(iteration=int(found[1]), path=None)
    return None


def parse_nccl_version(line: str) -> str | None:
    """Parse the version that NCCL prints, `2.27.5`, under NCCL_DEBUG=VERSION or more."""
    found = _NCCL.search(line) if "NCCL version " in line else None
    return found[1] if found else None


def _fields(text: str) -> dict[str, float] | None:
    """Parse `name: number` between bars; None if a field that should be a number is none."""
    fields: dict[str, float] = {}
    for part in text.split("|"):
        name, _, value = (it.strip() for it in part.partition(":"))
        if (_COUNT if name in _WHOLE else _NUMBER).fullmatch(value):
            fields[name] = float(value)
        elif name in _KNOWN or _MTP.fullmatch(name):
            return None
    return fields


def _whole(fields: Mapping[str, float], name: str) -> int | None:
    return int(fields[name]) if name in fields else None


def _loss(fields: Mapping[str, float], name: str, skipped: int) -> float | None:
    """A loss, or None: where every step was skipped, Megatron from 0.17 on prints the mean of no losses as 0."""
    value = fields.get(name)
    return None if value == 0 and skipped else value


def _mtp_losses(fields: Mapping[str, float], skipped: int) -> tuple[float | None, ...]:
    """The losses of the multi-token prediction depths, the first depth first."""
    depths = [int(found[1]) for name in fields if (found := _MTP.fullmatch(name))]
    return tuple(_loss(fields, f"mtp_{depth} loss", skipped) for depth in range(1, max(depths, default=0) + 1))
