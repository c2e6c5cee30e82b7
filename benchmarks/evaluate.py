"""Evaluation beside transformers and lm-eval's own model: `python benchmarks/evaluate.py [PAIRS [MODEL…]]`.

Random fp32 checkpoints are made in Hugging Face format and converted; transformers reads the one, the engine's ranks
the other. Each side is a process that stays, with all cores or OMP_NUM_THREADS of them; two ranks have half each. They
work in turn, PAIRS times after a warm-up, on the same windows and the same lm-eval requests in batches of the same
size; what is timed starts when models and tasks are loaded. Our side is the program that `moe-harness eval` would
start: losses and routing, with their statistics, beside a bare loop of forward passes and cross-entropy without
routing. Losses and lm-eval's scores have to be equal.

Figures are medians of pairwise ratios: above 1, ours is faster. On a machine that others use too, the ratios of one
rank's processor time say more than those of the time that passed; take OMP_NUM_THREADS=1, for threads wait busily.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
SEQ_LEN, WINDOWS, BATCH = 256, 16, 8
DOCUMENTS = 24  # of each task
VOCAB_SIZE = 4096
ONE_RANK = ("PROXY=none", "TP=1", "PP=1", "EP=1", "VPP=1", "NNODES=1", "GPUS_PER_NODE=1", "NUM_LAYERS=6")
# Of the published models the kinds of layers; widths that some seconds of a CPU suffice for.
WIDTHS = ("--hidden-size=384", "--num-attention-heads=8")
MODELS: Mapping[str, tuple[str, ...]] = {
    "Mixtral-8x7B": ("--ffn-hidden-size=768", "--moe-ffn-hidden-size=768", "--num-query-groups=2", "--kv-channels=48"),
    "DeepSeek-V2-Lite": (
        *("--ffn-hidden-size=1024", "--moe-ffn-hidden-size=192", "--moe-shared-expert-intermediate-size=384"),
        *("--num-experts=32", "--moe-router-topk=4", "--kv-lora-rank=96"),
        *("--qk-head-dim=32", "--qk-pos-emb-head-dim=16", "--v-head-dim=32"),
    ),
}
OFFLINE = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_XET": "1"}
TASKS = {
    "bench_choice": """
output_type: multiple_choice
num_fewshot: 2
doc_to_text: "Q: {{q}}\\nA:"
doc_to_target: label
doc_to_choice: choices
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "bench_letters": """
output_type: multiple_choice
num_fewshot: 2
doc_to_text: "{{q}} a, b, c or d?\\nAnswer:"
doc_to_target: label
doc_to_choice: ["a", "b", "c", "d"]
metric_list: [{metric: acc}]
""",
    "bench_answer": """
output_type: generate_until
num_fewshot: 1
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 24, do_sample: false}
metric_list: [{metric: exact_match}]
""",
}
DATA = """
dataset_path: json
dataset_kwargs: {{data_files: {{train: {data}, test: {data}}}}}
training_split: train
test_split: test
fewshot_split: train
"""
LOSS = "loss"
ANSWER = "@"  # what begins a side's line of JSON, among all else that is printed


def main() -> None:
    """Print a line a figure, or be a side of it."""
    if sys.argv[1:2] == ["--side"]:
        {"theirs": _theirs, "ours": _ours}[sys.argv[2]](Path(sys.argv[3]))
        return
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for model in sys.argv[2:] or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            _compare(model, Path(folder), pairs)


def _compare(model: str, folder: Path, pairs: int) -> None:
    """All figures of one model."""
    _make(model, folder)
    with ExitStack() as sides:
        theirs = sides.enter_context(Side("theirs", folder, ranks=1))
        ours = {ranks: sides.enter_context(Side("ours", folder, ranks=ranks)) for ranks in (1, 2)}
        for ranks, side in ours.items():
            print(f"{model}, {ranks} rank(s): start-up {side.start_s:.1f} s, transformers {theirs.start_s:.1f} s")
        for what in (LOSS, *TASKS):
            for ranks, side in ours.items() if what == LOSS else [(1, ours[1])]:
                print(f"{model}, {ranks} rank(s), {_paired(what, side, theirs, pairs)}", flush=True)


def _paired(what: str, ours: "Side", theirs: "Side", pairs: int) -> str:
    """Both in turn, first the one and then the other; what they found has to be the same."""
    times = []
    for pair in range(pairs + 1):
        first, second = (ours, theirs) if pair % 2 else (theirs, ours)
        found = {side: side.timed(what) for side in (first, second)}
        if abs(found[ours]["value"] - found[theirs]["value"]) > 1e-4:
            sys.exit(f"{what}: ours {found[ours]['value']}, theirs {found[theirs]['value']}")
        times.append((found[ours], found[theirs]))
    median_s = statistics.median(our["wall_s"] for our, _ in times[1:])
    amount = f"{WINDOWS * SEQ_LEN / median_s:,.0f} tokens/s" if what == LOSS else f"{median_s:.2f} s of requests"
    return f"{what}: {_ratio(times[1:], 'wall_s')} as fast, {_ratio(times[1:], 'cpu_s')} by processor time, {amount}"


def _ratio(times: list[tuple[dict[str, float], dict[str, float]]], clock: str) -> str:
    """The median of the pairs and their spread."""
    ratios = [their[clock] / our[clock] for our, their in times]
    return f"{statistics.median(ratios):.2f} x [{min(ratios):.2f} to {max(ratios):.2f}]"


class Side:
    """Ranks that work when they are told to; `start_s` is what they took until they could."""

    def __init__(self, name: str, folder: Path, ranks: int) -> None:
        """Start the processes, and wait until they are ready."""
        start = time.perf_counter()
        port = str(20000 + os.getpid() % 20000 + ranks)
        cores = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
        threads = str(max(cores // ranks, 1))
        common = {**os.environ, **OFFLINE, "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""}
        common |= {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        self._log = (folder / f"{name}-{ranks}.log").open("wb")
        self._ranks = [
            subprocess.Popen(
                [sys.executable, __file__, "--side", name, str(folder)],
                env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if rank == 0 else self._log,
                stderr=self._log,
                text=True,
            )
            for rank in range(ranks)
        ]
        self._answer()
        self.start_s = time.perf_counter() - start

    def timed(self, what: str) -> dict[str, float]:
        """Have them do it: seconds by the clock and of the first rank's processor, a `value` to agree on."""
        for rank in self._ranks:
            assert rank.stdin
            rank.stdin.write(f"{what}\n")
            rank.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._ranks[0].stdout
        for line in self._ranks[0].stdout:
            if line.startswith(ANSWER):
                found: dict[str, float] = json.loads(line.removeprefix(ANSWER))
                return found
        sys.exit(Path(self._log.name).read_text()[-4000:])

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_unused: object) -> None:
        for rank in self._ranks:
            assert rank.stdin
            rank.stdin.close()
        for rank in self._ranks:
            rank.wait()
        self._log.close()


class Clock:
    """Adds up the time that passes inside `with`, by the clock and of this process' cores."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> None:
        self.wall_s -= time.perf_counter()
        self.cpu_s -= time.process_time()

    def __exit__(self, *_unused: object) -> None:
        self.wall_s += time.perf_counter()
        self.cpu_s += time.process_time()


def _serve(work: Callable[[str, Clock], float | None]) -> None:
    """Do what each line of the standard input says; the first rank answers with a value and the time."""
    print(f"{ANSWER}{{}}", flush=True)
    for line in sys.stdin:
        clock = Clock()
        if (value := work(line.strip(), clock)) is not None:
            print(ANSWER + json.dumps({"value": value, **vars(clock)}), flush=True)


def _theirs(folder: Path) -> None:
    """Be transformers, and lm-eval's model of it."""
    import torch
    import transformers
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "hf")
    asked = _clocked(HFLM)(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    seed = json.loads(_program(folder)[1])["seed"]  # few-shot examples are drawn by it
    names = ("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed")
    seeds = dict.fromkeys(names, seed)
    tokens = torch.from_numpy(np.load(folder / "tokens.npy")[: WINDOWS * SEQ_LEN + 1].astype(np.int64))

    def work(what: str, clock: Clock) -> float:
        if what == LOSS:
            with clock:
                return _bare_loss(model, tokens)
        type(asked).clock = clock
        found = simple_evaluate(model=asked, tasks=[what], task_manager=manager, bootstrap_iters=0, **seeds)
        return _score_of(found["results"][what])

    _serve(work)


def _bare_loss(model: Any, tokens: Any) -> float:
    """The mean loss of all windows."""
    import torch
    from torch.nn.functional import cross_entropy

    inputs, targets = (part.view(WINDOWS, SEQ_LEN) for part in (tokens[:-1], tokens[1:]))
    with torch.no_grad():
        losses = [
            cross_entropy(model(words, use_cache=False).logits.flatten(0, 1), following.flatten(), reduction="none")
            for words, following in zip(inputs.split(BATCH), targets.split(BATCH), strict=True)
        ]
    return float(torch.cat(losses).double().mean())


def _ours(folder: Path) -> None:
    """Be a rank of the program that `moe-harness eval` starts."""
    module, text, *flags = _program(folder)
    sys.argv = [module, *flags]
    from harness.engine import entry

    entry.install_device()
    import torch.distributed

    from harness.engine.lm_eval_model import MoeHarnessLM
    from harness.engine.sections import measure_sections, read_evaluated
    from harness.engine.session import ModelSession
    from harness.evaluation.spec import EvaluationSpec
    from harness.runs.json_codec import decode

    spec = decode(EvaluationSpec, json.loads(text))
    model = _clocked(MoeHarnessLM)
    session = ModelSession.start(seq_length=spec.seq_len)
    session.load(Path(spec.checkpoints[0].folder))
    windows = read_evaluated(spec, session)
    assert spec.tasks

    def work(what: str, clock: Clock) -> float | None:
        model.clock = clock
        parts = ("loss", "routing") if what == LOSS else ("tasks",)
        asked = replace(spec, parts=parts, tasks=replace(spec.tasks, tasks=(what,)))
        with clock if what == LOSS else nullcontext():
            found = measure_sections(asked, session, windows if what == LOSS else None).measured
        if torch.distributed.get_rank():
            return None
        return float(found["validation"]["loss"]) if what == LOSS else _score_of(found["lm_eval"]["results"][what])

    _serve(work)
    session.close()


def _program(folder: Path) -> list[str]:
    """What `moe-harness eval` would start, without the interpreter: the module, the spec, Megatron's flags."""
    program: list[str] = json.loads((folder / "program.json").read_text())
    return program[program.index("harness.engine.evaluate") :]


def _clocked(model: Any) -> Any:
    """A class of lm-eval's models whose answers are timed by its `clock`."""

    def clocked(method: Any) -> Any:
        def answered(self: Any, requests: Any, **options: Any) -> Any:
            with model.clock:
                return method(self, requests, **options)

        return answered

    for kind in ("loglikelihood", "generate_until"):
        setattr(model, kind, clocked(getattr(model, kind)))
    return model


def _score_of(results: Mapping[str, Any]) -> float:
    """The sum of a task's metrics."""
    return sum(
        float(value)
        for name, value in results.items()
        if name.endswith(",none") and "stderr" not in name and value != "N/A"
    )


def _make(model: str, folder: Path) -> None:
    """Write the checkpoint in both formats, a tokenizer, tokens, tasks, and the program that evaluates them."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    make = [sys.executable, str(REPOSITORY / "tools/random_checkpoint.py"), str(folder / "hf"), "--dtype=fp32"]
    words = (f"MODEL={model}", *ONE_RANK, f"VOCAB_SIZE={VOCAB_SIZE}", "--", *WIDTHS, *MODELS[model])
    subprocess.run([*make, *words], check=True, env=environ)
    _write_tokenizer(folder / "hf")
    draws = np.random.default_rng(0)
    np.save(folder / "tokens.npy", draws.integers(0, VOCAB_SIZE, WINDOWS * SEQ_LEN + 1).astype(np.uint16))
    _write_tasks(folder / "tasks", draws)
    harness = [sys.executable, "-m", "harness"]
    convert = [*harness, "convert", "run", "hf", "megatron"]
    subprocess.run(convert, check=True, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    evaluate = [*harness, "eval", "megatron", f"TOKENIZER_MODEL={folder / 'hf'}", "--dry-run", "--on=local", "--ngpu=0"]
    data = ["--val-data=tokens.npy", f"--seq-len={SEQ_LEN}", f"--batch-size={BATCH}"]
    tasks = ["--what=loss,routing,tasks", f"--tasks={','.join(TASKS)}", "--include-path=tasks"]
    script = subprocess.check_output([*evaluate, *data, *tasks], cwd=folder, env={**environ, **OFFLINE}, text=True)
    program = script.partition("program=(\n")[2].partition("\n)")[0]
    (folder / "program.json").write_text(json.dumps(shlex.split(program)))


def _write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer, trained on the project's own pages."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train([str(path) for path in sorted((REPOSITORY / "docs").glob("*.md"))], trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)


def _write_tasks(folder: Path, draws: np.random.Generator) -> None:
    """Tasks whose documents are words of the project's own pages."""
    words = (REPOSITORY / "docs/development.md").read_text().split()
    folder.mkdir()

    def text(fewest: int, most: int) -> str:
        return " ".join(draws.choice(words, draws.integers(fewest, most)))

    rows = [
        {
            "q": text(10, 40),
            "a": text(2, 4),
            "choices": [text(1, 9) for _ in range(4)],
            "label": int(draws.integers(4)),
        }
        for _ in range(DOCUMENTS)
    ]
    data = folder / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for name, task in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}{task}{DATA.format(data=data)}")


if __name__ == "__main__":
    main()
