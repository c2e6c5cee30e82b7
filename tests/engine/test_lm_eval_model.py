"""lm-eval's tasks asked of Megatron's ranks, against its own `hf` model on the same weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lm_eval.models.huggingface
import pytest
from engine_models import ON_CPU
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from local_tasks import VOCAB_SIZE, record_answers, write_tasks, write_tokenizer
from tiny_checkpoints import TinyCheckpoint, convert_tiny

pytestmark = pytest.mark.slow

OFFLINE = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
NAMES = ("local_choice", "local_letters", "local_text", "local_answer")
SEED = 1337
LENGTH = 64
MAPPINGS = {
    "one rank": (1, ()),
    "PP2": (2, ("--pipeline-model-parallel-size", "2")),
    "EP2": (2, ("--expert-model-parallel-size", "2")),
    "TP2": (2, ("--tensor-model-parallel-size", "2")),
}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """A model, tasks and a tokenizer in folders of their own."""

    checkpoint: TinyCheckpoint
    tasks: Path
    folder: Path

    def asked(self, names: tuple[str, ...], out: Path, **options: Any) -> Path:
        """A file that describes these tasks."""
        tasks = {"tasks": names, "include_path": str(self.tasks), "log_samples": True, **options}
        spec = {"tasks": tasks, "tokenizer": str(self.checkpoint.source), "output_dir": str(out), "seed": SEED}
        path = out / "asked.json"
        path.write_text(json.dumps(spec))
        return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A model like DeepSeek-V3 that reads 64 tokens at once."""
    folder = tmp_path_factory.mktemp("tiny")
    changes = {"vocab_size": VOCAB_SIZE, "max_position_embeddings": LENGTH, "rope_scaling": None}
    checkpoint = convert_tiny("DeepSeek-V3", folder, changes)
    write_tokenizer(checkpoint.source)
    return Tiny(checkpoint=checkpoint, tasks=write_tasks(folder / "tasks"), folder=folder)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "chat"])
def expected(request: pytest.FixtureRequest, tiny: Tiny) -> dict[str, Any]:
    """What lm-eval's own model answers."""

    class Recorded(lm_eval.models.huggingface.HFLM):  # type: ignore[misc]
        pass

    answers = record_answers(Recorded)
    model = Recorded(pretrained=str(tiny.checkpoint.source), dtype="float32", device="cpu", batch_size=1)
    manager = TaskManager(include_path=str(tiny.tasks), include_defaults=False)
    seeds = dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed"), SEED)
    chat = {"apply_chat_template": request.param, "fewshot_as_multiturn": request.param}
    results = simple_evaluate(
        model=model, tasks=list(NAMES), task_manager=manager, bootstrap_iters=1000, **seeds, **chat
    )
    return {"results": results["results"], "answers": answers, "chat": request.param}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_answers_and_scores_are_those_of_the_hf_model(
    ranks: Any, tiny: Tiny, expected: dict[str, Any], mapping: str, tmp_path: Path
) -> None:
    """Log-likelihoods to 1e-3, greedy texts and scores equal; a group that holds one of the tasks adds nothing."""
    asked = tiny.asked((*NAMES, "local_group"), tmp_path, apply_chat_template=expected["chat"])
    found = answered(ranks, tiny, asked, *MAPPINGS[mapping])
    assert found["answers"].keys() == expected["answers"].keys()
    for kind, answers in expected["answers"].items():
        for (text, answer), (our_text, our_answer) in zip(answers, found["answers"][kind], strict=True):
            assert our_text == text
            assert our_answer == (answer if isinstance(answer, str) else pytest.approx(answer, abs=1e-3))
    for task in NAMES:
        for metric, value in expected["results"][task].items():
            ours = found["section"]["results"][task][metric]
            if isinstance(value, float):
                value = pytest.approx(value, abs=1e-4, rel=1e-4)
            assert ours == (None if value == "N/A" else value), metric


def test_group_and_section(ranks: Any, tiny: Tiny, tmp_path: Path) -> None:
    """What the section says beside the scores; a task that is in a group too is asked once."""
    asked = tiny.asked(("local_choice", "local_group"), tmp_path, limit=2, num_fewshot=3, batch_size=3)
    found = answered(ranks, tiny, asked, *MAPPINGS["EP2"])["section"]
    assert found["results"].keys() == {"local_choice", "local_answer", "local_group"}
    assert found["n-samples"]["local_choice"] == {"original": 6, "effective": 2}
    assert found["n-shot"] == {"local_choice": 3, "local_answer": 3, "local_group": 3}
    assert found["versions"]["local_choice"] == 2.0
    assert set(found["seeds"].values()) == {SEED}
    assert (found["tasks"], found["limit"], found["max_length"]) == (["local_choice", "local_group"], 2, LENGTH)
    assert (found["batch"], found["chat_template_sha"]) == ("3 sequences", None)
    assert found["tokenizer"] == str(tiny.checkpoint.source)
    kept = found["samples"]["local_choice"]
    assert [row["doc_id"] for row in kept] == [0, 1]
    assert found["results"]["local_choice"]["acc,none"] == sum(row["acc"] for row in kept) / 2
    assert [row["filter"] for row in found["samples"]["local_answer"]] == ["none", "none"]


def test_what_cannot_be_asked_is_told_at_once(ranks: Any, tiny: Tiny, tmp_path: Path) -> None:
    """Names, with what is near, and options of a generation that are not carried out; every rank ends."""
    unknown = ("local_chioce", "local_answer", "no_such")
    first, second = said(ranks, tiny, tiny.asked(unknown, tmp_path), world_size=2)
    assert first.startswith("tasks: unknown task 'local_chioce'; did you mean local_choice")
    assert second.startswith("tasks: unknown task 'no_such'; ")
    beams = tiny.asked(("local_answer",), tmp_path)
    text = (tiny.tasks / "local_answer.yaml").read_text()
    other = tmp_path / "tasks"
    other.mkdir()
    (other / "beams.yaml").write_text(
        text.replace("task: local_answer", "task: local_beams").replace("do_sample: false", "num_beams: 4, min_p: 0.1")
    )
    beams.write_text(beams.read_text().replace(str(tiny.tasks), str(other)).replace("local_answer", "local_beams"))
    known = "known: do_sample, max_gen_toks, temperature, top_k, top_p, until"
    assert said(ranks, tiny, beams) == [
        f"tasks: generation_kwargs min_p=0.1 is not carried out; {known}",
        f"tasks: generation_kwargs num_beams=4 is not carried out; {known}",
    ]


def test_a_tokenizer_of_another_model_is_refused(ranks: Any, tiny: Tiny, tmp_path: Path) -> None:
    """More tokens than the model has, and no chat template."""
    folder = tmp_path / "tokenizer"
    write_tokenizer(folder, vocab_size=VOCAB_SIZE + 9, template=None)
    asked = tiny.asked(("local_choice",), tmp_path, apply_chat_template=True)
    asked.write_text(asked.read_text().replace(str(tiny.checkpoint.source), str(folder)))
    assert said(ranks, tiny, asked) == [
        f"tasks: --apply-chat-template: the tokenizer {folder} has no chat template",
        f"tasks: the tokenizer {folder} has {VOCAB_SIZE + 9} tokens, the model {VOCAB_SIZE}; "
        "give the tokenizer that it was trained with",
    ]


def said(ranks: Any, tiny: Tiny, asked: Path, world_size: int = 1) -> list[str]:
    """What ranks say as they refuse, all with exit code 2."""
    words = (str(asked), str(tiny.checkpoint.weights), *tiny.checkpoint.flags, *ON_CPU)
    job = ranks.run(*words, world_size=world_size, task="answer_lm_eval", environ=OFFLINE)
    assert set(job.exit_codes) == {2}, job.log[-6000:]
    return sorted({line for line in job.log.splitlines() if line.startswith("tasks: ")})


def answered(ranks: Any, tiny: Tiny, asked: Path, world_size: int, argv: tuple[str, ...]) -> dict[str, Any]:
    """What the ranks wrote."""
    words = (str(asked), str(tiny.checkpoint.weights), *tiny.checkpoint.flags, *ON_CPU, "--moe-grouped-gemm", *argv)
    job = ranks.run(*words, world_size=world_size, task="answer_lm_eval", environ=OFFLINE)
    assert set(job.exit_codes) == {0}, job.log[-6000:]
    found: dict[str, Any] = json.loads((asked.parent / "answers.json").read_text())
    return found
