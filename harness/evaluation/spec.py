"""What an evaluation measures: the one value that the command makes, the job carries and every rank reads."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

type EvaluatedPart = Literal["loss", "routing", "speed", "cost", "tasks"]
type TaskBackend = Literal["megatron", "hf"]
type DataFormat = Literal["text", "npy", "indexed"]

PARTS: tuple[EvaluatedPart, ...] = ("loss", "routing", "speed", "cost", "tasks")


@dataclass(frozen=True, kw_only=True)
class EvaluatedCheckpoint:
    """One checkpoint: the `folder` that holds its weights, and its training `step`, None for weights of no step.

    `fingerprint` tells these weights from others that may lie there later; empty where they are not seen.
    """

    folder: str
    step: int | None = None
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class ValidationData:
    """The tokens that loss and routing are measured on.

    `files` are text files, token `.npy` shards or prefixes of Megatron's `.bin` and `.idx`, as `format` says.
    `tokenizer` is the folder of a Hugging Face tokenizer, None for the byte-level one; `tokenizer_sha256` is of what
    its files hold, None where they are not seen. `fingerprint` tells the data files from others under the same names.
    """

    files: tuple[str, ...]
    format: DataFormat = "text"
    tokenizer: str | None = None
    tokenizer_sha256: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What lm-eval is asked: `batch_size` 0 is auto, as many as fit; `limit` is documents a task, below 1 a share.

    `fingerprint` tells the files of the user's own tasks from others under the same names.
    """

    tasks: tuple[str, ...]
    num_fewshot: int | None = None
    limit: float | None = None
    batch_size: int = 0
    log_samples: bool = False
    include_path: str | None = None
    apply_chat_template: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class SpeedOptions:
    """How latency is measured: `warmup` passes that do not count, then `repeats`; `decode_tokens` a sequence."""

    warmup: int = 2
    repeats: int = 5
    decode_tokens: int = 16


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """What is measured of which checkpoints, and where results go.

    `seq_len` is tokens a window, `batch_size` windows a micro-batch, `max_tokens` the most tokens that are evaluated.
    `ep` is the expert parallel size for which the load of ranks is told. `settings` and `model_args` are what results
    say of the configuration. `backend` answers tasks: the engine's ranks, or lm-eval's own `hf` model on weights that
    are converted back for it. `again` names a repetition, for which no older result will do.
    """

    model: str
    checkpoints: tuple[EvaluatedCheckpoint, ...]
    parts: tuple[EvaluatedPart, ...]
    data: ValidationData
    output_dir: str
    seq_len: int
    batch_size: int
    max_tokens: int
    seed: int = 1337
    ep: int = 1
    tasks: TaskOptions | None = None
    speed: SpeedOptions = SpeedOptions()
    settings: Mapping[str, str] = field(default_factory=dict)
    model_args: Mapping[str, str] = field(default_factory=dict)
    backend: TaskBackend = "megatron"
    again: str = ""

    def identity(self, checkpoint: EvaluatedCheckpoint) -> str:
        """A name of what is measured of one checkpoint, by which a result that is there already is found again."""
        measured = {**asdict(self), "checkpoint": asdict(checkpoint)}
        for name in ("checkpoints", "output_dir", "model", "again"):
            del measured[name]
        return hashlib.sha256(json.dumps(measured, sort_keys=True).encode()).hexdigest()

    def without_tasks(self) -> "EvaluationSpec":
        """The rest, where lm-eval is missing: its results are no older ones of the whole, nor the other way round."""
        return replace(self, parts=tuple(part for part in self.parts if part != "tasks"), tasks=None)

    def as_json(self) -> str:
        """The whole of it as JSON text, by which the job's ranks get it."""
        return json.dumps(asdict(self), ensure_ascii=False)
