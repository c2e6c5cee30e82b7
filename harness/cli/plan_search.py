"""Show the ten best mappings: on the screen, as JSON, or as a page."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness.cli import screen
from harness.cli.plan_request import PlanRequest, plan_request
from harness.disk import write_whole
from harness.errors import ConfigError, EnvironmentProblem
from harness.plan.search import SearchResult, search
from harness.plan.space.recompute_sets import show_recompute
from harness.plan.space.space import Space
from harness.report.html.requirement import require_pages
from harness.report.text.prediction import candidate_data, show_candidates

BEST = 10
PLOTTED = 60
MOST_GPUS = 16_384
"""The largest number of GPUs that is tried."""


def run(ctx: click.Context, arguments: Sequence[str], *, why: str | None, page: Path | None, as_json: bool) -> None:
    """Search what the arguments leave open and print the best."""
    if why is not None and (as_json or page is not None):
        raise ConfigError("--why answers in words, with no JSON and no page; leave --json and --page out")
    asked = plan_request(ctx, arguments)
    space = asked.space()
    if why is not None:
        from harness.cli.plan_why import show_why

        click.echo(show_why(asked, space, why))
        return
    if page is not None:
        require_pages("--page")
    found = search(space, keep=BEST)
    if not found.best:
        raise ConfigError(nothing_fits(asked, space, found))
    if page is not None:
        _write_page(page, asked, space)
    click.echo(json.dumps(_data(asked, space, found), indent=2) if as_json else _text(asked, space, found))


def title(space: Space) -> str:
    """`DeepSeek-V3 on 1,024 H100, 8,192 sequences of 4,096 tokens, bf16`."""
    job = space.execution_options[0].job
    return (
        f"{job.arch.name} on {space.world_size:,} {space.gpu.name}, {job.batch.global_:,} sequences of"
        f" {job.batch.seq_len:,} tokens, {job.precision}"
    )


def _write_page(page: Path, asked: PlanRequest, space: Space) -> None:
    """The plot wants more than the ten best, and the front of the whole space."""
    from harness.plan.front import memory_front
    from harness.report.html.plan_page import PlanFront, render_plan_page
    from harness.runs.record import utc_now

    screen.progress("page: finding the front of the whole space (up to a minute)")
    found = search(space, keep=PLOTTED, all_timed=True)
    front, tried = memory_front(space)
    whole = PlanFront(front=front, tried=tried)
    text = render_plan_page(title(space), found, whole, asked.command(found.best[0]), best=BEST, made=utc_now())
    try:
        write_whole(page, text)
    except OSError as error:
        raise EnvironmentProblem(
            f"--page {page}: {error.strerror}; name a file in a folder that you may write"
        ) from None


def nothing_fits(asked: PlanRequest, space: Space, found: SearchResult) -> str:
    """Say why there is no mapping, and on how many GPUs there is one."""
    if not found.counts.enumerated:
        return (
            f"no mapping of {title(space)}, splits the batch: GBS={space.batch.global_} is no multiple of MBS·DP"
            f" for any MBS of {_listed(space.micros)}; set GBS to a multiple of {space.world_size * min(space.micros)}"
        )
    counts = nearest_fits(space.world_size, lambda gpus: _fits(asked, gpus))
    fix = f"the nearest numbers of GPUs that fit: {' and '.join(map(str, counts))}"
    return (
        f"no mapping of {title(space)}, fits: {fix if counts else f'nor on any power of two up to {MOST_GPUS:,} GPUs'}"
    )


def nearest_fits(gpus: int, fits: Callable[[int], bool]) -> list[int]:
    """The largest power of two below `gpus` that fits and the smallest one above, where there are any."""
    powers = [1 << exponent for exponent in range(MOST_GPUS.bit_length())]
    below = next((count for count in reversed(powers) if count < gpus and fits(count)), None)
    above = next((count for count in powers if count > gpus and fits(count)), None)
    return [count for count in (below, above) if count is not None]


def _fits(asked: PlanRequest, gpus: int) -> bool:
    """Whether any mapping runs on so many; typed sizes, or nodes of another size, may rule out the number itself."""
    try:
        return bool(search(asked.space(gpus), keep=1).best)
    except ConfigError:
        return False


def _text(asked: PlanRequest, space: Space, found: SearchResult) -> str:
    return "\n\n".join(
        (
            title(space),
            show_candidates(found.best),
            f"best: {asked.command(found.best[0])}",
            _searched(space, found),
        )
    )


def _searched(space: Space, found: SearchResult) -> str:
    """The extent of the search: bounds and counts."""
    counts = found.counts
    recomputes = dict.fromkeys(show_recompute(one) for option in space.execution_options for one in option.recomputes)
    bounds = {
        "TP": space.networks,
        "CP": space.cps,
        "PP": space.pipeline_splits,
        "VPP": sorted({split.vpp for found in space.pipeline_splits.values() for split in found}),
        "EP": space.eps,
        "MBS": space.micros,
    }
    lines = [
        f"searched {counts.enumerated:,} ways to run {counts.grids:,} grids: {counts.too_large:,} do not fit,"
        f" {counts.no_faster:,} cannot be faster, {counts.refused:,} refused by Megatron, {counts.timed:,} timed",
        f"bounds: {'; '.join(f'{name} {_listed(values)}' for name, values in bounds.items())}; ETP 1 and TP",
        f"recompute: {', '.join(recomputes)}",
        "VPP*: stages by a balanced --pipeline-model-parallel-layout",
    ]
    return "\n".join(lines)


def _listed(values: Iterable[int]) -> str:
    return " ".join(map(str, values))


def _data(asked: PlanRequest, space: Space, found: SearchResult) -> dict[str, Any]:
    return {
        "model": space.execution_options[0].job.arch.name,
        "gpu": space.gpu.name,
        "gpus": space.world_size,
        "best": [{**candidate_data(one), "command": asked.command(one)} for one in found.best],
        "counts": asdict(found.counts),
    }
