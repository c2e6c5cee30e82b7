"""Folders of training runs, made up: what a report reads of them."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation_documents import evaluation_document
from stored_records import load_version, result_of

from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Entry, Origin
from harness.report.reported_run import ReportedRun, read_reported_run
from harness.runs.json_codec import encode
from harness.runs.record import RunRecord
from harness.runs.record_file import to_document
from harness.runs.store import load_run
from harness.training.log.samples import StepSample

HOSTILE = """<script>alert("x")</script>'&`|${}_%#~^\\"""
STEPS = 60


def made_run(
    root: Path,
    name: str,
    *,
    step_s: float = 2.0,
    ep: int = 2,
    seed: int = 0,
    steps: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A folder with the record of a run, its samples, and evaluations of the checkpoints of `steps`."""
    folder = root / name
    folder.mkdir(parents=True)
    base = load_version(3)
    record = replace(
        base, run_id=name, error=None, attempts=(), campaign=None, resolved=_resolved(base, ep, settings or {})
    )
    result = result_of(record)
    assert result.summary is not None
    assert result.in_effect is not None
    setup = replace(result.in_effect.setup, ep=ep)
    summary = replace(
        result.summary,
        median_s=step_s,
        tokens_per_s=262144 / step_s,
        tokens_per_s_per_gpu=262144 / step_s / 8,
        tflops_per_gpu=650 / step_s,
        mfu=650 / step_s / 989,
    )
    predicted = {"step_time_s": 1.9, "tokens_per_s_per_gpu": 17246.0, "peak_memory_bytes": 48e9}
    result = replace(
        result,
        summary=summary,
        in_effect=replace(result.in_effect, setup=setup),
        differences=(),
        predicted=predicted,
    )
    record = replace(record, result=result, **changes)
    (folder / "record.json").write_text(json.dumps(to_document(record, {})))
    lines = (json.dumps(encode(sample)) for sample in made_samples(step_s, seed))
    (folder / "samples.jsonl").write_text("".join(f"{line}\n" for line in lines))
    for at, step in enumerate(steps):
        document = evaluation_document(step, loss=4 - step / 400, noise=seed + at, skew=0.05 + step / 2000)
        (folder / "eval").mkdir(exist_ok=True)
        (folder / "eval" / f"eval_results_20260101_0000{at:02d}.json").write_text(json.dumps(document))
    return folder


def made_samples(step_s: float, seed: int, count: int = STEPS) -> tuple[StepSample, ...]:
    """Steps about so long; the first is ten times as long."""
    noise = random.Random(seed)
    return tuple(
        StepSample(
            iteration=at,
            train_iters=count,
            step_s=step_s * (10 if at == 1 else 1) * noise.uniform(0.96, 1.06),
            global_batch_size=64,
            consumed_samples=64 * at,
            loss=2 + 8 / (at + 1) + noise.uniform(-0.05, 0.05),
        )
        for at in range(1, count + 1)
    )


def reported(folder: Path) -> ReportedRun:
    """The run of a folder, read as a report reads it."""
    return read_reported_run(load_run(folder))


def _resolved(base: RunRecord, ep: int, settings: Mapping[str, Any]) -> Any:
    flags = {"--seq-length": "4096", "--micro-batch-size": "1", "--global-batch-size": "64"}
    line = Origin(layer="runtime.conf", path="runtime_configs/benchmarking/runtime.conf", line=12)
    typed = Origin(layer="command line")
    origins = {"EP": (Entry(value="8", origin=line), Entry(value=str(ep), origin=typed))}
    origins |= {name: (Entry(value=str(value), origin=typed),) for name, value in settings.items()}
    return replace(
        base.resolved,
        settings={**base.resolved.settings, "EP": ep, **settings},
        megatron_args=MegatronArgs({**base.resolved.megatron_args, **flags}),
        origins={**base.resolved.origins, **origins},
    )
