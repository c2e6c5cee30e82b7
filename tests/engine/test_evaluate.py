"""The entry point that evaluates a series of checkpoints: results, what the log states of them, and what is refused."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_jobs import Job, Ranks
from engine_models import ON_CPU
from routing_reference import ReferencePass, reference_pass
from tiny_models import VOCAB_SIZE, make_tiny

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.writing.progress import Silent
from harness.config.megatron_args import MegatronArgs
from harness.evaluation.result_file import find_result
from harness.evaluation.seen import as_seen_here
from harness.evaluation.series_saturation import series_saturation
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec, TaskOptions, ValidationData

pytestmark = pytest.mark.slow

TOKENS, SEQ_LEN = 100, 24
WINDOWS = 5
EP2 = ("--expert-model-parallel-size", "2", "--moe-grouped-gemm")


@dataclass(frozen=True, kw_only=True)
class Series:
    """Two checkpoints of Mixtral, tokens to evaluate them on, and what transformers makes of these."""

    ranks: Ranks
    flags: tuple[str, ...]
    spec: EvaluationSpec
    real: Any
    expected: tuple[ReferencePass, ...]

    def run(
        self, spec: EvaluationSpec | str, *mapping: str, world_size: int = 1, task: str = "evaluate_checkpoints"
    ) -> Job:
        """Evaluate as `spec` says."""
        argument = spec if isinstance(spec, str) else json.dumps(asdict(spec))
        return self.ranks.run(argument, *self.flags, *ON_CPU, *mapping, world_size=world_size, task=task)


@pytest.fixture(scope="module")
def series(ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Series:
    """Random weights of two seeds, as two steps."""
    folder = tmp_path_factory.mktemp("series")
    for seed in (1, 2):
        source = make_tiny("Mixtral", folder / f"hf{seed}", seed=seed)
        conversion = plan_conversion(open_folder(source), to=None, dtype=None, exact=None)
        convert(conversion, folder / f"megatron{seed}", resume=False, threads=2, progress=Silent())
    tokens = np.random.default_rng(5).integers(0, VOCAB_SIZE, TOKENS + 1)
    np.save(folder / "tokens.npy", tokens.astype(np.uint16))
    padded = np.zeros(WINDOWS * SEQ_LEN + 1, np.int32)
    padded[: TOKENS + 1] = tokens
    rows = np.stack([padded[start : start + SEQ_LEN + 1] for start in range(0, WINDOWS * SEQ_LEN, SEQ_LEN)])
    record = json.loads((folder / "megatron1/release/moe-harness.json").read_text())
    return Series(
        ranks=ranks,
        flags=tuple(MegatronArgs(record["flags"]).argv()),
        spec=as_seen_here(
            EvaluationSpec(
                model="Mixtral-8x7B",
                checkpoints=tuple(
                    EvaluatedCheckpoint(folder=str(folder / f"megatron{seed}/release"), step=seed * 100)
                    for seed in (1, 2)
                ),
                parts=("loss", "routing", "speed", "cost"),
                data=ValidationData(files=(str(folder / "tokens.npy"),), format="npy"),
                output_dir="",
                seq_len=SEQ_LEN,
                batch_size=2,
                max_tokens=1000,
                ep=2,
            )
        ),
        real=np.arange(WINDOWS * SEQ_LEN).reshape(WINDOWS, SEQ_LEN) < TOKENS,
        expected=tuple(reference_pass(folder / f"hf{seed}", rows) for seed in (1, 2)),
    )


def statements(job: Job, what: str) -> list[dict[str, Any]]:
    """The job's statements of one kind. It must have succeeded."""
    assert set(job.exit_codes) == {0}, job.log[-6000:]
    lead = f"moe-harness: {what} "
    return [json.loads(line.removeprefix(lead)) for line in job.log.splitlines() if line.startswith(lead)]


@pytest.mark.parametrize(("world_size", "mapping"), [(1, ()), (2, EP2)])
def test_a_series_is_evaluated_once(series: Series, tmp_path: Path, world_size: int, mapping: tuple[str, ...]) -> None:
    """Loss and expert counts are transformers' at each checkpoint, with one model built; the second time none is."""
    spec = replace(series.spec, output_dir=str(tmp_path / "eval"))
    job = series.run(spec, *mapping, world_size=world_size)
    (data,) = statements(job, "evaluation data")
    assert (data["tokens"], data["windows"]) == (TOKENS, WINDOWS)
    begun, done = statements(job, "evaluating"), statements(job, "evaluated")
    assert [(one["step"], one["number"], one["total"]) for one in begun] == [(100, 1, 2), (200, 2, 2)]
    for stated, expected in zip(done, series.expected, strict=True):
        document = json.loads(Path(stated["output_file"]).read_text())
        loss = expected.nll[series.real].mean(dtype=np.float64)
        assert document["validation"]["loss"] == stated["loss"] == pytest.approx(loss, abs=1e-5)
        assert document["validation"]["tokens"] == stated["tokens"] == TOKENS
        for layer, experts in expected.experts.items():
            counts = np.bincount(experts[series.real].ravel(), minlength=8)
            assert min(expected.margins[layer][series.real]) > 1e-5
            assert document["routing_stats"][layer]["tokens_per_expert"] == counts.tolist()
        assert document["mapping"]["ranks"] == world_size
        cost, speed = document["computational_cost"], document["inference_performance"]
        at_this_speed = cost["flops_per_token"]["megatron"] * speed["throughput_tokens_per_sec"] / 1e12
        assert cost["tflops_per_s"] == pytest.approx(at_this_speed)  # of all copies of the model, as the throughput is
        assert document["inference_performance"]["latency_ms"] == stated["latency_ms"] > 0
        assert document["step"] == stated["step"]
        assert stated["walltime_s"] < 20
    saturation = series_saturation(spec)
    assert saturation is not None
    first, last = (run.experts["layer_0"][series.real] for run in series.expected)
    common = np.mean([len(set(one) & set(other)) / 2 for one, other in zip(first, last, strict=True)])
    assert saturation["of_step"] == 200
    assert saturation["steps"][0]["layers"]["layer_0"] == pytest.approx(common)

    again = series.run(spec, *mapping, world_size=world_size)
    assert statements(again, "evaluating") == []
    kept = statements(again, "evaluated")
    assert kept == [{**one, "kept": True} for one in done]
    assert len(list((tmp_path / "eval").glob("eval_results_*.json"))) == 2


def test_what_the_command_did_not_see_is_told_apart(series: Series, tmp_path: Path) -> None:
    """A login node that sees neither weights nor data: others in their place are measured, the same are not again."""
    weights, tokens = tmp_path / "release", tmp_path / "tokens.npy"
    shutil.copytree(series.spec.checkpoints[0].folder, weights)
    np.save(tokens, np.arange(50, dtype=np.uint16))
    spec = replace(
        series.spec,
        checkpoints=(EvaluatedCheckpoint(folder=str(weights)),),
        data=ValidationData(files=(str(tokens),), format="npy"),
        parts=("loss",),
        output_dir=str(tmp_path / "eval"),
    )
    kept = []
    for change in (None, None, "data", "weights"):
        if change == "data":
            np.save(tokens, np.arange(50, dtype=np.uint16)[::-1])
        if change == "weights":
            shutil.rmtree(weights)
            shutil.copytree(series.spec.checkpoints[1].folder, weights)
            os.utime(weights / "metadata.json")
        (done,) = statements(series.run(spec), "evaluated")
        kept.append(done["kept"])
    assert kept == [False, True, False, False]


def test_without_lm_eval_the_rest_is_evaluated(series: Series, tmp_path: Path) -> None:
    """The line that installs it is printed once, and the result is none of the whole, which is still to do."""
    first = series.spec.checkpoints[0]
    spec = replace(
        series.spec,
        checkpoints=(first,),
        parts=("loss", "tasks"),
        tasks=TaskOptions(tasks=("arc_easy",)),
        output_dir=str(tmp_path),
    )
    job = series.run(spec, *EP2, world_size=2, task="evaluate_without_lm_eval")
    (done,) = statements(job, "evaluated")
    line = "engine: --tasks: lm-eval is not installed; pip install 'moe-harness[eval]' (or tools/setup.sh eval)"
    assert job.log.count(f"{line}; the rest is evaluated without it\n") == 1
    document = json.loads(Path(done["output_file"]).read_text())
    assert (document["parts"], document["validation"]["tokens"]) == (["loss"], TOKENS)
    assert "lm_eval" not in document
    assert find_result(spec, first) is None
    assert find_result(spec.without_tasks(), first) == Path(done["output_file"])

    nothing_left = series.run(replace(spec, parts=("tasks",)), task="evaluate_without_lm_eval")
    assert nothing_left.exit_codes == (2,)
    assert line in nothing_left.log


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (shutil.rmtree, ": no such folder"),
        (
            lambda folder: (folder / "metadata.json").unlink(),
            "metadata.json missing: not a whole torch_dist checkpoint",
        ),
        (lambda folder: (folder / "__0_0.distcp").unlink(), "No such file or directory, but .metadata lists it"),
        (lambda folder: os.truncate(folder / "__0_0.distcp", 1000), "it is cut short; copy it again"),
    ],
)
def test_what_is_finished_is_kept(series: Series, tmp_path: Path, damage: Callable[[Path], None], found: str) -> None:
    """A second checkpoint that is not whole ends all ranks; the first one's result stands."""
    damaged = tmp_path / "iter_0000007"
    shutil.copytree(series.spec.checkpoints[1].folder, damaged)
    damage(damaged)
    checkpoints = (series.spec.checkpoints[0], EvaluatedCheckpoint(folder=str(damaged), step=7))
    job = series.run(replace(series.spec, output_dir=str(tmp_path), checkpoints=checkpoints), *EP2, world_size=2)
    assert 2 in job.exit_codes, job.log[-6000:]
    assert 0 not in job.exit_codes
    said = {line for line in job.log.splitlines() if line.startswith("engine:")}
    assert any(str(damaged) in line and found in line for line in said), said
    assert len(list(tmp_path.glob("eval_results_*.json"))) == 1


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("--vocab-size", "engine: what to evaluate comes first; usage: "),
        ("absent.json", "engine: cannot read absent.json (No such file or directory); usage: "),
        ("{}", "engine: {} is no EvaluationSpec as JSON: "),
        ("{not json", "engine: {not json is no EvaluationSpec as JSON: "),
    ],
)
def test_refuses_what_is_no_spec(series: Series, argument: str, found: str) -> None:
    """Before anything is imported."""
    job = series.run(argument)
    assert job.exit_codes == (2,)
    assert found in job.log


def test_refuses_all_that_is_wrong_at_once(series: Series, tmp_path: Path) -> None:
    """Nothing to evaluate, no windows, random routing; windows longer than the model knows positions."""
    spec = replace(series.spec, checkpoints=(), batch_size=0, seq_len=40000, output_dir=str(tmp_path))
    job = series.run(spec, "--moe-router-force-load-balancing")
    assert job.exit_codes == (2,)
    assert [line for line in job.log.splitlines() if line.startswith("engine:")] == [
        "engine: no checkpoint to evaluate",
        "engine: batch_size is 0; allowed: 1 or more",
        "engine: 40000 tokens a sequence are more than --max-position-embeddings 32768; cut them",
        "engine: --moe-router-force-load-balancing and --moe-router-force-biased route at random; leave them out",
    ]


def test_flags_of_another_network_are_refused_where_the_weights_are_seen(series: Series, tmp_path: Path) -> None:
    """A login node may not see the checkpoint; with another epsilon it would load and mean something else."""
    spec = replace(series.spec, output_dir=str(tmp_path / "eval"), parts=("loss",))
    job = series.run(spec, "--norm-epsilon", "1e-3")
    assert job.exit_codes == (2,)
    (said,) = (line for line in job.log.splitlines() if line.startswith("engine:"))
    assert "--norm-epsilon 1e-3: the checkpoint in" in said
    assert said.endswith("needs --norm-epsilon 1e-5; write --norm-epsilon 1e-5")
    assert not (tmp_path / "eval").exists()
