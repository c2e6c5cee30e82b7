"""The options of `eval`, as values."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from harness.config.provenance import Resolved
from harness.disk import expanded, is_folder
from harness.errors import nearest
from harness.evaluation.data_files import data_format_of, stored_files
from harness.evaluation.fingerprints import fingerprint_of_files, fingerprint_of_tasks, tokenizer_sha256
from harness.evaluation.spec import PARTS, EvaluatedPart, TaskOptions, ValidationData
from harness.evaluation.task_names import is_task_file

type Backend = Literal["megatron", "hf", "megatron_lm"]

BACKENDS: tuple[Backend, ...] = ("megatron", "hf", "megatron_lm")
USUAL_BATCH = 8
MOST_TOKENS = 1_048_576


class EvalOptions(NamedTuple):
    """What the user chose; None and empty where nothing was said. `batch_size` 0 is auto."""

    what: str | None
    steps: str | None
    val_data: tuple[str, ...]
    max_tokens: int
    seq_len: int | None
    batch_size: int
    tasks: tuple[str, ...]
    num_fewshot: int | None
    limit: float | None
    log_samples: bool
    include_path: str | None
    chat_template: bool
    output_dir: str | None
    config_file: str | None
    seed: int
    ngpu: int | None
    ep_ranks: int | None
    skip_lm_eval: bool
    again: bool
    backend: Backend = "megatron"

    def problems(self) -> list[str]:
        """What is wrong with the options by themselves."""
        found = [f"--what {name}: no such part; {nearest(name, PARTS)}" for name in self._named if name not in PARTS]
        if self.backend != "megatron":
            found += self._problems_of_backend()
        elif (self.tasks or "tasks" in self._named) and not self._task_names and not self.skip_lm_eval:
            found.append("no task is named; name tasks or groups of lm-eval: --tasks hellaswag,arc_easy")
        elif self.skip_lm_eval and self._named == ["tasks"]:
            found.append("--what tasks with SKIP_LM_EVAL leaves nothing to measure; leave one of them out")
        if "" in self.val_data:
            found.append("--val-data names no file; give text files, token .npy shards or .bin/.idx prefixes")
        if self.limit is not None and not math.isfinite(self.limit):
            found.append(f"--limit {self.limit}: no number of documents; allowed: more than 0, below 1 a share")
        return found

    def parts(self) -> tuple[EvaluatedPart, ...]:
        """What is measured, in the order of measuring. Of lm-eval's own models it is tasks alone."""
        if self.backend != "megatron":
            return ("tasks",)
        asked = self._named or [part for part in PARTS if part != "tasks" or self.tasks]
        return tuple(part for part in PARTS if part in asked and not (part == "tasks" and self.skip_lm_eval))

    def _problems_of_backend(self) -> Iterator[str]:
        """What lm-eval's own models cannot do, or are not told."""
        backend = f"--backend {self.backend}"
        if others := [part for part in self._named if part in PARTS and part != "tasks"]:
            yield f"--what {','.join(others)}: {backend} answers tasks alone; measure the rest without it"
        if self.skip_lm_eval:
            yield f"--skip-lm-eval: {backend} answers tasks alone; leave one of them out"
        elif not self.tasks:
            yield f"{backend} answers tasks alone, and needs their names: --tasks hellaswag,arc_easy"
        if self.backend == "hf" and (self.ngpu or 0) > 1:
            yield f"--ngpu {self.ngpu}: {backend} is one process; leave it out, or give 0 for the CPU"
        if self.backend == "megatron_lm" and self.ngpu == 0:
            yield f"--ngpu 0: {backend} computes on GPUs alone; give their number"

    @property
    def _named(self) -> list[str]:
        return [name.strip() for name in (self.what or "").split(",") if name.strip()]

    @property
    def _task_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for text in self.tasks for name in text.split(",") if name))

    def task_options(self) -> TaskOptions | None:
        """What lm-eval is asked; None where it is not."""
        if "tasks" not in self.parts():
            return None
        names = tuple(str(Path(name).absolute()) if is_task_file(name) else name for name in self._task_names)
        include_path = str(expanded(self.include_path).absolute()) if self.include_path else None
        return TaskOptions(
            tasks=names,
            num_fewshot=self.num_fewshot,
            limit=self.limit,
            batch_size=self.batch_size,
            log_samples=self.log_samples,
            include_path=include_path,
            apply_chat_template=self.chat_template,
            fingerprint=fingerprint_of_tasks(include_path, names),
        )

    def data(self, resolved: Resolved) -> ValidationData:
        """The tokens for loss and routing: what the user names, or else the chapter that no training has seen."""
        from harness.data.sample import HELD_OUT

        named = tuple(str(expanded(file).absolute()) for file in self.val_data if file) or (str(HELD_OUT),)
        asked = resolved.text("TOKENIZER_MODEL")
        folder = expanded(asked)
        tokenizer = (str(folder.absolute()) if is_folder(folder) else asked) if asked else None
        return ValidationData(
            files=named,
            format=data_format_of(named),
            tokenizer=tokenizer,
            tokenizer_sha256=tokenizer_sha256(tokenizer),
            fingerprint=fingerprint_of_files(stored_files(named)),
        )
