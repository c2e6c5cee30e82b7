"""The log parser on the words of every release, and on logs as broken as they come.

The logs of tests/fixtures/logs were printed by the `training_log`, `report_memory` and checkpoint code of each release
itself, run on made-up figures; the figures are the same in all of them.
"""

import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EnvironmentProblem
from harness.launch.log.log_file import read_lines
from harness.training.log.parser import LogParser, RunLog
from harness.training.log.samples import CheckpointSaved, StepSample

LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
RELEASES = ("0.11", "0.12", "0.13", "0.14", "0.15", "0.16", "0.17", "0.18", "0.19")
MIB = 1024 * 1024
START = "[before the start of training step] datetime: 2025-03-04 10:{:02d}:00 "


def line(iteration: int, *, loss: str = "9.000000E+00", ms: str = "100.0", norm: str = "1.000", end: str = "0") -> str:
    """An iteration line of our own making."""
    return (
        f" [2025-03-04 10:20:30] iteration {iteration:8d}/      50 | consumed samples: {iteration * 8:12d} |"
        f" elapsed time per iteration (ms): {ms} | throughput per GPU (TFLOP/s/GPU): 52.7 |"
        f" learning rate: 1.000000E-04 | global batch size:     8 | lm loss: {loss} | loss scale: 1.0 |"
        f" grad norm: {norm} | number of skipped iterations:   0 | number of nan iterations:   {end} |"
    )


def parse(*lines: str) -> RunLog:
    parser = LogParser()
    for text in lines:
        parser.feed(text)
    return parser.log()


def read_log(path: Path, parser: LogParser) -> RunLog:
    for text in read_lines(path):
        parser.feed(text)
    return parser.log()


def iterations(log: RunLog) -> list[int]:
    return [sample.iteration for sample in log.samples]


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_read_to_the_last_field(release: str) -> None:
    log = read_log(LOGS / f"megatron-{release}.log", LogParser(seq_len=4096, world_size=8))
    stamped = "2025-03-04 10:20:32.123456" if release >= "0.16" else "2025-03-04 10:20:32"
    assert iterations(log) == [1, 2, 3, 4, 5, 6]
    assert log.restarts == 0
    other = {"load_balancing_loss": 1.03125, "z_loss": 0.0025}
    if release == "0.13":  # this one was run with --log-energy
        other |= {"energy per GPU (J/iter/GPU)": 7000.0, "power per GPU (W/GPU)": 3448.3}
    assert log.samples[2] == StepSample(
        iteration=3,
        train_iters=50,
        launch=0,
        printed_at=stamped,
        consumed_samples=192,
        step_s=2.03,
        global_batch_size=64,
        tokens_per_s_per_gpu=64 * 4096 / 2.03 / 8,
        tflops_per_gpu=320.2,
        loss=9.5,
        mtp_losses=() if release == "0.11" else (4.0,),
        grad_norm=1.083,
        learning_rate=3e-4,
        loss_scale=1.0,
        other=other,
    )


@pytest.mark.parametrize("release", RELEASES)
def test_a_skipped_step_has_no_loss_in_any_release(release: str) -> None:
    """0.17 and later print `lm loss: 0.000000E+00` for a step that was skipped, the others nothing."""
    skipped = read_log(LOGS / f"megatron-{release}.log", LogParser()).samples[4]
    assert (skipped.skipped, skipped.loss, skipped.grad_norm) == (1, None, None)


@pytest.mark.parametrize("release", RELEASES)
def test_memory_validation_and_checkpoint_lines(release: str) -> None:
    log = read_log(LOGS / f"megatron-{release}.log", LogParser())
    assert [report.iteration for report in log.memory] == ([1] if release < "0.16" else [1, 2])
    assert log.memory[0].rank == 0
    assert log.memory[0].max_allocated_bytes == pytest.approx(45678901234, abs=0.01 * MIB)
    assert log.memory[0].max_reserved_bytes == pytest.approx(51000000000, abs=0.01 * MIB)
    assert [(it.iteration, it.split, it.loss, it.perplexity) for it in log.validations] == [
        (6, "validation", 8.25, 3827.626)
    ]
    assert log.checkpoints == (CheckpointSaved(iteration=6, path="/data/ckpt"),)


def test_a_real_run_of_two_ranks_under_torchrun() -> None:
    """The engine's own log, EP=2 on CPU, as `torchrun --tee 3` interleaved it; rank 1 prints the iterations."""
    log = read_log(LOGS / "engine-0.19-ep2.log", LogParser(seq_len=64))
    assert (iterations(log), log.restarts) == (list(range(1, 11)), 0)
    last = log.samples[-1]
    assert (last.loss, last.mtp_losses, last.grad_norm) == (4.904223, (5.315253,), 0.785)
    assert last.tokens_per_s_per_gpu == pytest.approx(8 * 64 / 1.9525 / 2)
    assert [(it.iteration, it.split) for it in log.validations] == [
        (5, "validation"),
        (10, "validation"),
        (10, "validation"),
        (10, "test"),
    ]
    assert log.in_effect is not None and log.peak_memory is not None
    assert (log.in_effect.setup.ep, log.in_effect.device, log.in_effect.versions["megatron_core"]) == (
        2,
        "cpu",
        "0.19.2",
    )
    assert len(log.peak_memory.per_rank_bytes) == 2


def test_several_mtp_depths_and_a_line_over_steps_of_which_one_was_skipped() -> None:
    depths = "mtp_1 loss: 9.500000E+00 | mtp_3 loss: 9.700000E+00 | loss scale"
    sample = parse(line(10).replace("loss scale", depths).replace("skipped iterations:   0", "skipped iterations:   1"))
    assert sample.samples[0].mtp_losses == (9.5, None, 9.7)
    assert (sample.samples[0].loss, sample.samples[0].skipped) == (9.0, 1)


def test_the_second_line_of_newer_releases_still_holds_the_first_step() -> None:
    """The steps took 12.3456 s and 2.5 s."""
    for release in RELEASES:
        second = read_log(LOGS / f"megatron-{release}.log", LogParser()).samples[1]
        assert second.step_s == pytest.approx(2.5 if release < "0.16" else (12.3456 + 2.5) / 2, abs=1e-4)
        assert second.loss == (10.0 if release < "0.16" else (10.5 + 10.0) / 2)


@pytest.mark.parametrize("prefix", ["12: ", " 3: ", "[rank3]:", "[default7]:", "[rank0]: ", "1: [rank7]: "])
def test_labels_of_srun_and_torchrun(prefix: str) -> None:
    log = parse(prefix + START.format(1), prefix + line(1), prefix + line(2))
    assert iterations(log) == [1, 2]
    assert log.samples[1].loss == 9.0


def test_ranks_that_all_print_count_once() -> None:
    both = [f"{rank}: {line(step, ms=f'{100 + rank}.0')}" for step in (1, 2, 3) for rank in (1, 0)]
    log = parse("0: " + START.format(1), *both)
    assert [(sample.iteration, sample.step_s) for sample in log.samples] == [(1, 0.101), (2, 0.101), (3, 0.101)]
    assert log.restarts == 0


def test_a_line_printed_twice_counts_once() -> None:
    log = parse(line(1), line(1), line(2), line(2))
    assert (iterations(log), log.restarts) == ([1, 2], 0)


def test_other_ranks_words_before_and_after_do_no_harm() -> None:
    memory = (
        "[Rank 1] (after 2 iterations) memory (MB)"
        " | allocated: 1.5 | max allocated: 2.5 | reserved: 3.5 | max reserved: 4.5"
    )
    log = parse(memory + line(1) + memory, "NCCL INFO" + line(2) + line(3) + "warning | lm loss: 5.0 |")
    assert iterations(log) == [1, 2, 3]
    assert [sample.loss for sample in log.samples] == [9.0, 9.0, 9.0]
    assert log.memory[0].max_allocated_bytes == 2.5 * MIB


def test_a_torn_line_is_left_out_and_its_neighbours_are_kept() -> None:
    whole = line(2)
    cut = whole.index("lm loss")
    log = parse(line(1), whole[:cut] + line(3), whole[cut:], line(4))
    assert iterations(log) == [1, 3, 4]


@pytest.mark.parametrize("field", ["lm loss: 9.0", "ms): 100.0", "grad norm: 1.0", "batch size:     8", "rate: 1.0"])
def test_a_field_with_another_ranks_words_in_it_makes_the_line_torn(field: str) -> None:
    assert parse(line(1).replace(field, f"{field}[rank3]: hello ")).samples == ()


def test_cut_off_at_the_start_and_at_the_end() -> None:
    text = "\n".join([line(1), line(2), line(3)])
    assert iterations(parse(*text[200:-5].split("\n"))) == [2]


def test_a_restart_supersedes_from_its_first_iteration_on() -> None:
    before = [line(step, loss=f"{step}.0") for step in range(1, 6)]
    valid = " validation loss at iteration {} | lm loss value: {:.6E} | lm loss PPL: 2.000000E+00 | "
    after = [line(step, loss=f"2{step}.0") for step in (3, 4)]
    log = parse(START.format(1), *before, valid.format(2, 7), valid.format(4, 6), START.format(2), *after)
    assert [(it.iteration, it.loss, it.launch) for it in log.samples] == [
        (1, 1.0, 0), (2, 2.0, 0), (3, 23.0, 1), (4, 24.0, 1),
    ]  # fmt: skip
    assert log.restarts == 1
    assert [it.iteration for it in log.validations] == [2]


def test_a_restart_is_seen_without_its_start_line_and_without_going_back() -> None:
    assert parse(line(1), line(2), line(2, loss="1.0")).restarts == 1
    log = parse(START.format(1), line(1), line(2), START.format(2), line(3))
    assert ([sample.launch for sample in log.samples], log.restarts) == ([0, 0, 1], 1)
    assert parse(START.format(1), START.format(1), line(1)).restarts == 0  # one start, printed twice


def test_a_restart_on_other_nodes_changes_the_speaker() -> None:
    log = parse("7: " + line(1), "7: " + line(2), "0: " + START.format(9), "3: " + line(2, loss="1.0"))
    assert [(sample.iteration, sample.loss) for sample in log.samples] == [(1, 9.0), (2, 1.0)]


def test_nan_and_infinite_values() -> None:
    sample = parse(line(1, loss="NAN", norm="nan", end="1")).samples[0]
    assert sample.loss is not None and math.isnan(sample.loss)
    assert sample.grad_norm is not None and math.isnan(sample.grad_norm)
    assert sample.nan == 1
    assert parse(line(1, loss="INF", norm="inf")).samples[0].loss == math.inf
    unsaid = line(1).replace(" lm loss: 9.000000E+00 |", "")  # how Megatron prints a loss that is NaN
    assert parse(unsaid).samples[0].loss is None


def test_terminal_escapes_carriage_returns_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bar = b"\x1b[32mloading\x1b[0m 50%|#####\r"
    log.write_bytes(b"\xff\xfe\x00" + bar + line(1).replace("lm loss", "\x1b[1mlm loss\x1b[0m").encode() + b"\r\n\x80")
    assert [sample.loss for sample in read_log(log, LogParser()).samples] == [9.0]


def test_test_sets_and_several_validation_sets() -> None:
    log = parse(
        " validation-code loss at iteration 5 | lm loss value: 2.000000E+00 | lm loss PPL: 7.389056E+00 | ",
        " validation loss at iteration 6 on test set | lm loss value: 3.000000E+00 | lm loss PPL: 2.008554E+01 | ",
        " validation loss at iteration 7 | lm loss value: 3.0000",
    )
    assert [(it.iteration, it.dataset, it.split, it.loss) for it in log.validations] == [
        (5, "code", "validation", 2.0),
        (6, None, "test", 3.0),
    ]


def test_a_local_checkpoint_has_no_path() -> None:
    log = parse("  successfully saved local checkpoint from iteration      20")
    assert log.checkpoints == (CheckpointSaved(iteration=20, path=None),)


def test_a_log_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot read this log: No such file or directory"):
        read_log(tmp_path / "none.log", LogParser())


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parser = LogParser(seq_len=8, world_size=2)
    for line in data.split(b"\n"):
        parser.feed(line.decode(errors="replace"))


@given(at=st.integers(0, 399), junk=st.text(max_size=30), digits=st.integers(1, 500))
def test_no_damage_to_a_real_line_makes_it_raise(at: int, junk: str, digits: int) -> None:
    text = line(1)
    for damage in (junk, "9" * digits, "mtp_99 loss: 1 | number of nan iterations: " + "9" * digits + " |"):
        parse(text[:at] + damage + text[at:])
        parse('moe-harness: in effect {"flops_per_step": ' + "9" * digits + "}")
        parse("moe-harness: in effect " + damage, 'moe-harness: peak memory {"per_rank_bytes": [' + damage)


@given(release=st.sampled_from(RELEASES), part=st.floats(0, 1))
def test_a_log_cut_anywhere_gives_the_first_of_its_samples(release: str, part: float) -> None:
    data = (LOGS / f"megatron-{release}.log").read_bytes()
    whole, torn = (
        [sample for text in piece.split(b"\n") if (sample := parser.feed(text.decode()))]
        for piece, parser in ((data, LogParser()), (data[: int(len(data) * part)], LogParser()))
    )
    assert torn == whole[: len(torn)]


@pytest.mark.parametrize(
    "word", ["validation-", "successfully saved checkpoint from iteration 1 to ", "[", "iteration 1/ "]
)
def test_a_long_line_of_rubbish_takes_no_time(word: str) -> None:
    begun = time.perf_counter()
    LogParser().feed(word * (100_000 // len(word)))
    assert time.perf_counter() - begun < 2  # quadratic: half a minute
