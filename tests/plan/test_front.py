"""The front of a space is what trying everything comes to."""

from planned import planned

from harness.cost.hardware import find_gpu
from harness.cost.memory import peak_stage, stage_memory
from harness.cost.step_time import step_time
from harness.plan.front import memory_front
from harness.plan.search import search
from harness.plan.space.space import Space, space

LITTLE = {"MODEL": "DeepSeek-V2-Lite", "GPU": "H100", "GPUS": "16", "GBS": "64"}


def _space(**fixed: str) -> Space:
    gpu = find_gpu("H100")
    assert gpu is not None
    return space(
        lambda settings: planned(*(f"{name}={value}" for name, value in {**LITTLE, **settings}.items())), gpu, fixed
    )


def _all_of(of: Space) -> list[tuple[int, float]]:
    """Memory and step time of every way to run that fits."""
    jobs = (
        of.job(point, option, recompute)
        for grid in of.grids()
        for point in of.points(grid)
        for option in of.options_of(point)
        for recompute in option.recomputes
    )
    sizes = ((job, peak_stage(stage_memory(job)).total_bytes) for job in jobs)
    return [(size, step_time(job, of.gpu).total_s) for job, size in sizes if size <= of.gpu.hbm_bytes]


def test_nothing_possible_beats_the_front_and_nothing_of_it_is_missing() -> None:
    of = _space(PP="2", TP="1", EP="8")
    every = _all_of(of)
    wanted = {one for one in every if not any(it[0] <= one[0] and it[1] <= one[1] and it != one for it in every)}
    front, tried = memory_front(of)
    assert {(it.peak.total_bytes, it.step_time.total_s) for it in front} == wanted
    assert len(every) > len(tried) >= len(front) > 2
    assert [it.peak.total_bytes for it in front] == sorted(it.peak.total_bytes for it in front)


def test_all_that_was_timed_is_kept_where_asked_and_the_best_are_the_same() -> None:
    of = _space(TP="1")
    some, every = search(of), search(of, all_timed=True)
    assert [it.settings for it in every.best] == [it.settings for it in some.best]
    assert len(every.timed) == every.counts.timed > len(some.timed)
