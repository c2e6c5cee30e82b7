"""Read a training log into a result: what was in effect, the steps, and the summary."""

from collections.abc import Mapping
from dataclasses import replace

from harness.arch.model import model_arch
from harness.arch.precision import recorded_precision
from harness.config.provenance import Resolved
from harness.cost.flops import megatron_flops_per_step
from harness.cost.hardware import find_gpu
from harness.errors import ConfigError
from harness.training.asked import initial_result
from harness.training.effective import differences
from harness.training.log.parser import LogParser, RunLog
from harness.training.log.samples import StepSample
from harness.training.result import TrainingResult
from harness.training.summary import Summary, summarise


class TrainingLogReader:
    """Reads the log of a run of which the configuration and the result so far are known."""

    def __init__(self, resolved: Resolved, result: TrainingResult | None) -> None:
        self._resolved = resolved
        self._known = result or initial_result(resolved, None)
        self._parser = LogParser(seq_len=self._seq_len, world_size=self._known.asked.world_size)

    def feed(self, line: str) -> StepSample | None:
        """Take one line; return the sample that it adds, if it adds one."""
        return self._parser.feed(line)

    @property
    def versions(self) -> Mapping[str, str] | None:
        """Versions by package, as the newest launch states them."""
        stated = self._parser.log().in_effect
        return stated.versions if stated else None

    @property
    def hosts(self) -> tuple[str, ...] | None:
        """The hosts, as the newest launch states them."""
        stated = self._parser.log().in_effect
        return stated.hosts if stated else None

    @property
    def samples(self) -> tuple[StepSample, ...]:
        """One sample an iteration line, in their order."""
        return self._parser.log().samples

    def result(self) -> TrainingResult:
        """The known result with what the log states, as far as the run has come."""
        log = self._parser.log()
        stated = log.in_effect
        return replace(
            self._known,
            in_effect=stated,
            differences=differences(self._known.asked, stated.setup) if stated else (),
            summary=self._summary(log),
        )

    @property
    def _seq_len(self) -> int | None:
        """Tokens of a sequence, where the flags say it."""
        return self._resolved.megatron_args.integer("--seq-length") or None

    def _summary(self, log: RunLog) -> Summary:
        stated, asked = log.in_effect, self._known.asked
        gpu = find_gpu(stated.gpu) if stated and stated.gpu else None
        precision = recorded_precision((stated.setup.precision if stated else None) or asked.precision or "")
        return summarise(
            log,
            world_size=asked.world_size,
            seq_len=self._seq_len,
            flops_per_step=_flops_per_step(self._resolved, log),
            peak_flops_per_gpu=gpu.peak(precision) if gpu and precision else None,
        )


def _flops_per_step(resolved: Resolved, log: RunLog) -> float | None:
    """Our own FLOPs count of the last global batch; None for an architecture that it does not cover."""
    flags = resolved.megatron_args
    sequences = log.samples[-1].global_batch_size if log.samples else None
    try:
        arch = model_arch(flags, resolved.text("MODEL"))
    except ConfigError:
        return None
    return megatron_flops_per_step(
        arch, sequences=sequences or flags.integer("--global-batch-size"), seq_len=flags.integer("--seq-length")
    )
