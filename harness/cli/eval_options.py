"""The options of `eval`, as values."""

from pathlib import Path
from typing import NamedTuple

from harness.config.provenance import Resolved
from harness.disk import expanded
from harness.errors import nearest
from harness.evaluation.data_files import data_format_of, stored_files
from harness.evaluation.fingerprints import fingerprint_of_files, fingerprint_of_tasks, tokenizer_sha256
from harness.evaluation.spec import PARTS, EvaluatedPart, TaskOptions, ValidationData
from harness.evaluation.task_names import is_task_file

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

    def problems(self) -> list[str]:
        """What is wrong with the options by themselves."""
        found = [f"--what {name}: no such part; {nearest(name, PARTS)}" for name in self._named if name not in PARTS]
        if "tasks" in self._named and not self.tasks and not self.skip_lm_eval:
            found.append("--what tasks needs the tasks' names: --tasks hellaswag,arc_easy")
        return found

    def parts(self) -> tuple[EvaluatedPart, ...]:
        """What is measured, in the order of measuring."""
        asked = self._named or [part for part in PARTS if part != "tasks" or self.tasks]
        return tuple(part for part in PARTS if part in asked and not (part == "tasks" and self.skip_lm_eval))

    @property
    def _named(self) -> list[str]:
        return [name.strip() for name in (self.what or "").split(",") if name.strip()]

    def task_options(self) -> TaskOptions | None:
        """What lm-eval is asked; None where it is not."""
        if "tasks" not in self.parts():
            return None
        named = dict.fromkeys(name for text in self.tasks for name in text.split(",") if name)
        names = tuple(str(Path(name).absolute()) if is_task_file(name) else name for name in named)
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

        named = tuple(str(expanded(file).absolute()) for file in self.val_data) or (str(HELD_OUT),)
        asked = resolved.text("TOKENIZER_MODEL")
        tokenizer = str(expanded(asked).absolute()) if asked else None
        return ValidationData(
            files=named,
            format=data_format_of(named),
            tokenizer=tokenizer,
            tokenizer_sha256=tokenizer_sha256(tokenizer),
            fingerprint=fingerprint_of_files(stored_files(named)),
        )
