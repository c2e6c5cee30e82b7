"""Parse a training log, line by line while it grows, or as a whole."""

from dataclasses import dataclass, replace

from harness.launch.log.log_file import clean
from harness.training.effective import InEffect
from harness.training.log import lines as log_lines
from harness.training.log.engine_statement import parse_peak_memory
from harness.training.log.launch_statements import LaunchStatements
from harness.training.log.samples import CheckpointSaved, MemoryReport, PeakMemory, StepSample, Validation


@dataclass(frozen=True, kw_only=True)
class RunLog:
    """Everything that a log states, as far as it has been read."""

    samples: tuple[StepSample, ...] = ()
    restarts: int = 0
    memory: tuple[MemoryReport, ...] = ()
    validations: tuple[Validation, ...] = ()
    checkpoints: tuple[CheckpointSaved, ...] = ()
    in_effect: InEffect | None = None
    peak_memory: PeakMemory | None = None


class LogParser:
    """Reads Megatron's log of any release from 0.11 to 0.19; ignores what it does not know and never raises.

    A launch begins where Megatron says so, or where the iteration goes back. Its samples supersede those of the
    launch before from their iteration on. Where lines carry a rank's label, those of the rank that
    printed the launch's first iteration line count; copies printed by other ranks, and lines printed twice, count once.
    With `seq_len`, and a world size given here or stated by the log, samples carry tokens per second.
    """

    def __init__(self, *, seq_len: int | None = None, world_size: int | None = None) -> None:
        self._seq_len = seq_len
        self._world_size = world_size
        self._samples: list[StepSample] = []
        self._launch = -1  # none yet
        self._launch_is_new = False
        self._last_start: str | None = None
        self._rank_label = ""
        self._last_text = ""
        self._memory: list[MemoryReport] = []
        self._validations: list[Validation] = []
        self._checkpoints: list[CheckpointSaved] = []
        self._statements = LaunchStatements()
        self._peak_memory: PeakMemory | None = None

    def feed(self, line: str) -> StepSample | None:
        """Take one line; return the sample that it adds, if it adds one."""
        line = clean(line)
        start = log_lines.start_text(line)
        if start and start != self._last_start:
            self._last_start = start
            self._begin_launch()
            self._statements.training_began()
        added = [self._add(text, log_lines.label(line)) for text in log_lines.iteration_texts(line)]
        self._read_statements(line)
        return next((sample for sample in reversed(added) if sample), None)

    def log(self) -> RunLog:
        """Return everything that has been read so far."""
        return RunLog(
            samples=tuple(self._samples),
            restarts=max(self._launch, 0),
            memory=tuple(self._memory),
            validations=tuple(self._validations),
            checkpoints=tuple(self._checkpoints),
            in_effect=self._statements.in_effect(),
            peak_memory=self._peak_memory,
        )

    def _begin_launch(self) -> None:
        self._launch += 1
        self._launch_is_new = True

    def _add(self, text: str, rank_label: str) -> StepSample | None:
        """Keep a whole iteration line's sample, unless it is a copy."""
        sample = log_lines.parse_iteration(text)
        if sample is None or self._is_copy(text, rank_label):
            return None
        if not self._launch_is_new and (not self._samples or sample.iteration <= self._samples[-1].iteration):
            self._begin_launch()
        if self._launch_is_new:
            self._supersede(sample.iteration)
        self._launch_is_new = False
        self._statements.training_began()
        self._rank_label = rank_label
        self._last_text = text
        sample = replace(sample, launch=self._launch, tokens_per_s_per_gpu=self._tokens_per_s_per_gpu(sample))
        self._samples.append(sample)
        return sample

    def _is_copy(self, text: str, rank_label: str) -> bool:
        """Whether this line repeats, or another rank repeats, what the launch's rank prints."""
        return (
            bool(self._samples)
            and not self._launch_is_new
            and (rank_label != self._rank_label or text == self._last_text)
        )

    def _supersede(self, iteration: int) -> None:
        """Drop the samples of earlier launches from an iteration on: it is done again."""
        self._samples = [earlier for earlier in self._samples if earlier.iteration < iteration]
        self._validations = [earlier for earlier in self._validations if earlier.iteration < iteration]

    def _tokens_per_s_per_gpu(self, sample: StepSample) -> float | None:
        world_size = self._statements.world_size or self._world_size
        if not (self._seq_len and world_size and sample.global_batch_size and sample.step_s):
            return None
        return sample.global_batch_size * self._seq_len / sample.step_s / world_size

    def _read_statements(self, line: str) -> None:
        """Keep what lines other than the iteration line state."""
        if memory := log_lines.parse_memory(line):
            self._memory.append(memory)
        if validation := log_lines.parse_validation(line):
            self._validations.append(validation)
        if checkpoint := log_lines.parse_checkpoint(line):
            self._checkpoints.append(checkpoint)
        self._statements.read(line)
        self._peak_memory = parse_peak_memory(line) or self._peak_memory
