"""The table that papers and model zoos print of training runs, a row a run: what ran, how, and how fast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.config.megatron_args import MegatronArgs
from harness.cost.recompute_flags import granularity, recomputed_modules
from harness.report.text.plain_table import MISSING
from harness.runs.record import RunRecord
from harness.training.effective import Setup
from harness.training.result import TrainingResult, training_result
from harness.training.summary import Summary
from harness.units import GIB

type CellValue = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class PublicationColumn:
    """A column: its name, the unit of its figures, and how one of them is shown."""

    name: str
    unit: str = ""
    show: Callable[[float], str] | None = None

    @property
    def numeric(self) -> bool:
        """Whether it holds figures, or names."""
        return self.show is not None

    @property
    def title(self) -> str:
        """`step time (s)`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def text(self, value: CellValue) -> str:
        """The value as it is printed; a dash where it is missing."""
        if value is None or value == "":
            return MISSING
        return value if isinstance(value, str) else (self.show or str)(value)


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _fine(value: float) -> str:
    """Four digits: `27.23`, `0.01195`, `5,460`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


COLUMNS: Sequence[PublicationColumn] = (
    PublicationColumn(name="Run"),
    PublicationColumn(name="Model"),
    PublicationColumn(name="System"),
    PublicationColumn(name="Precision"),
    *(PublicationColumn(name=name, show=_whole) for name in ("#GPUs", "SEQ_LEN")),
    *(PublicationColumn(name=name, show=str) for name in ("TP", "CP", "EP", "PP", "VPP", "DP", "MBS")),
    PublicationColumn(name="GBS", show=_whole),
    PublicationColumn(name="Dispatcher"),
    PublicationColumn(name="Recompute"),
    PublicationColumn(name="Step time", unit="s", show=_fine),
    PublicationColumn(name="Tokens/s/GPU", show=_whole),
    PublicationColumn(name="TFLOP/s/GPU", show=_fine),
    PublicationColumn(name="MFU", unit="%", show="{:.1f}".format),
    PublicationColumn(name="Memory", unit="GiB", show="{:.2f}".format),
)


def publication_row(record: RunRecord) -> dict[str, CellValue]:
    """The values of a training run by column, in the columns' units; what was in effect goes before what was asked."""
    result = training_result(record.result)
    summary = result.summary if result else None
    args = record.resolved.megatron_args
    return {
        "Run": record.run_id,
        "Model": record.model,
        "System": system_of(record, result),
        "SEQ_LEN": _integer(args, "--seq-length"),
        "MBS": _integer(args, "--micro-batch-size"),
        "GBS": _integer(args, "--global-batch-size"),
        "Recompute": _recompute(args),
        **_setup(result),
        **_figures(summary),
    }


def publication_rows(records: Sequence[RunRecord]) -> list[dict[str, CellValue]]:
    """A row a run, in their order."""
    return [publication_row(record) for record in records]


def system_of(record: RunRecord, result: TrainingResult | None) -> str | None:
    """The GPU that the ranks found, or else the one that was asked for; `CPU` for ranks without one."""
    found = result.in_effect if result else None
    if found and found.gpu:
        return found.gpu
    if found and found.device == "cpu":
        return "CPU"
    return record.resolved.text("GPU") or ("CPU" if record.resolved.text("DEVICE") == "cpu" else None)


def _setup(result: TrainingResult | None) -> dict[str, CellValue]:
    asked = result.asked if result else Setup()
    found = result.in_effect.setup if result and result.in_effect else Setup()

    def value(name: str) -> CellValue:
        own: CellValue = getattr(found, name)
        return own if own is not None else getattr(asked, name)

    names = {"TP": "tp", "CP": "cp", "EP": "ep", "PP": "pp", "VPP": "vpp", "DP": "dp"}
    return {
        "Precision": value("precision"),
        "#GPUs": result.world_size if result else None,
        "Dispatcher": value("dispatcher"),
        **{column: value(name) for column, name in names.items()},
    }


def _figures(summary: Summary | None) -> dict[str, CellValue]:
    memory, mfu = (summary.peak_memory_bytes, summary.mfu) if summary else (None, None)
    return {
        "Step time": summary.median_s if summary else None,
        "Tokens/s/GPU": summary.tokens_per_s_per_gpu if summary else None,
        "TFLOP/s/GPU": summary.tflops_per_gpu if summary else None,
        "MFU": mfu * 100 if mfu is not None else None,
        "Memory": memory / GIB if memory is not None else None,
    }


def _recompute(args: MegatronArgs) -> str:
    """`none`, `full`, or the modules that are computed again."""
    kind = granularity(args)
    if kind == "selective":
        return " ".join(sorted(recomputed_modules(args)))
    return kind or "none"


def _integer(args: MegatronArgs, flag: str) -> int | None:
    """A flag's number; None where there is no such flag, or no number in it."""
    text = args.text(flag)
    return int(text) if text.isdecimal() else None
