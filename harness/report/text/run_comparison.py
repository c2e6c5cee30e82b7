"""A comparison of training runs as text and as JSON data: what they differ in, then what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from string import ascii_uppercase
from typing import Any

from harness.compare.comparison import ComparedMetric, Comparison, Contrast
from harness.compare.significance import ALPHA
from harness.compare.step_blocks import STEP_ALPHA
from harness.report.text.figure import show_change
from harness.report.text.plain_table import MISSING, plain_table, show_known
from harness.report.text.training import show_apart
from harness.report.text.unlike import show_unlike
from harness.units import show_bytes, show_seconds

_ROWS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "step_s": ("step time", show_seconds),
    "tokens_per_s_per_gpu": ("tokens/s/GPU", "{:,.0f}".format),
    "tflops_per_gpu": ("TFLOP/s/GPU", "{:.4g}".format),
    "mfu": ("MFU", "{:.2%}".format),
    "peak_memory_bytes": ("peak memory", show_bytes),
    "loss_last": ("last loss", "{:.4f}".format),
    "validation_loss": ("validation loss", "{:.4f}".format),
    "loss_distance": ("distance of loss curves", "{:.4g}".format),
}
_SENTENCES = {"step_s": ("slower by", "faster by"), "tokens_per_s_per_gpu": ("more tokens/s/GPU by", "fewer by")}
_LEGEND = f"""\
Differences are to A, with an interval of 95 % where there are samples for one. A star marks the better value, noise or
not. Single runs are compared by blocks of their steps (p < {STEP_ALPHA}), which does not show what differs from one
launch of the same job to the next; repeats (REPEATS=n) by their geometric means (p < {ALPHA})."""


def show_run_comparison(found: Comparison) -> str:
    """What is unlike where that was forced; the configurations; the figures; a sentence a run; what else to know."""
    letters = [_letter(at) for at in range(len(found.names))]
    parts = [plain_table(list(zip(letters, found.names, strict=True)))]
    if found.unlike:
        parts.append(show_unlike(found))
    parts.append(_configuration(found, letters) if found.configuration else "the same configuration")
    if found.metrics:
        rows = [_row(metric, found, letters) for metric in found.metrics]
        parts.append(plain_table(rows, ("", *letters, "difference", "beyond the noise", "by")))
    sentences = [f"{letter}: {text}" for letter, text in zip(letters[1:], run_sentences(found), strict=True)]
    parts.append("\n".join([*sentences, *found.notices]))
    return "\n\n".join([*parts, _LEGEND])


def run_sentences(found: Comparison) -> list[str]:
    """Of each run but the first what its speed is: `slower by 4.1 % [3.2, 5.0]`, or the least that would have shown.

    By the step time where a step is of as many tokens on as many GPUs, and else by the tokens a GPU takes a second.
    """
    name = "tokens_per_s_per_gpu" if _other_steps(found) else "step_s"
    metric = found.metric(name)
    return [_sentence(name, metric.contrasts[at] if metric else None) for at in range(len(found.names) - 1)]


def run_comparison_data(found: Comparison) -> dict[str, Any]:
    """The same as JSON data; seconds, bytes, and shares; null for what is missing."""
    return {
        "runs": list(found.names),
        "forced": bool(found.unlike),
        "unlike": list(found.unlike),
        "configuration": [asdict(it) for it in found.configuration],
        "alpha": {"steps": STEP_ALPHA, "repeats": ALPHA},
        "metrics": [
            {**asdict(it), "better": None if it.better is None else found.names[it.better]} for it in found.metrics
        ],
        "sentences": dict(zip(found.names[1:], run_sentences(found), strict=True)),
        "notices": list(found.notices),
    }


def _letter(at: int) -> str:
    return ascii_uppercase[at] if at < len(ascii_uppercase) else f"{at + 1}"


def _configuration(found: Comparison, letters: Sequence[str]) -> str:
    rows = [
        (it.name, *(_origin(value, origin) for value, origin in zip(it.values, it.origins, strict=True)))
        for it in found.configuration
    ]
    return plain_table(rows, ("differs", *letters))


def _origin(value: str | None, origin: str | None) -> str:
    return MISSING if value is None else f"{value} ({origin})" if origin else value


def _row(metric: ComparedMetric, found: Comparison, letters: Sequence[str]) -> tuple[str, ...]:
    predicted = metric.name.removeprefix("predicted.")
    words, show = _ROWS.get(predicted, (metric.name, "{:.5g}".format))
    measured = found.metric(predicted) if predicted != metric.name else None
    label = f"predicted {words}" if predicted != metric.name else words
    values = [
        f"{show_known(value, show)}{show_apart(value, measured.values[at]) if measured else ''}"
        f"{' *' if at == metric.better else ''}"
        for at, value in enumerate(metric.values)
    ]
    told = list(zip(letters[1:], metric.contrasts, strict=True))
    several = len(told) > 1
    return (
        label,
        *values,
        "\n".join(_change(metric, contrast) for _, contrast in told),
        "\n".join(f"{f'{letter}: ' if several else ''}{_verdict(contrast)}" for letter, contrast in told),
        "\n".join(dict.fromkeys(contrast.significance.method for _, contrast in told if contrast)),
    )


def _change(metric: ComparedMetric, contrast: Contrast | None) -> str:
    """`+4.1 % [+3.2, +5.0]`; of what was not estimated the share of the two values, of losses their difference."""
    if contrast is None:
        return MISSING
    effect = contrast.significance.effect
    if effect and effect.interval:
        low, high = effect.interval
        return f"{effect.share:+.1%} [{100 * low:+.1f}, {100 * high:+.1f}]"
    first = metric.values[0]
    if metric.part == "loss" or not first:
        return show_change(contrast.difference)
    return f"{contrast.difference / first:+.1%}"


def _verdict(contrast: Contrast | None) -> str:
    if contrast is None or contrast.significance.beyond is None or contrast.significance.p is None:
        return MISSING
    it = contrast.significance
    p = f"p = {it.p:.2g}" if contrast.significance.p >= 1e-4 else "p < 0.0001"
    if it.beyond:
        return f"yes, {p}"
    return f"no, {p}" + (f"; {_percent(it.effect.least)} % would have shown" if it.effect and it.effect.least else "")


def _sentence(name: str, contrast: Contrast | None) -> str:
    if contrast is None:
        return "no speed to compare: a run has no steps after its warm-up"
    it = contrast.significance
    if it.effect is None or it.beyond is None:
        return f"whether it is slower or faster cannot be told: {it.method.removeprefix('no test: ')}"
    if not it.beyond:
        least = f"; the least they could show is {_percent(it.effect.least)} %" if it.effect.least else ""
        return f"no difference that these samples could show{least}"
    more, less = _SENTENCES[name]
    if it.effect.share >= 0:
        return f"{more} {100 * it.effect.share:.1f} %{_interval(it.effect.interval, 1)}"
    return f"{less} {-100 * it.effect.share:.1f} %{_interval(it.effect.interval, -1)}"


def _interval(interval: tuple[float, float] | None, sign: int) -> str:
    if interval is None:
        return ""
    low, high = sorted(sign * value for value in interval)
    return f" [{100 * low:.1f}, {100 * high:.1f}]"


def _percent(share: float) -> str:
    """Two digits of what is small; of what more than doubles no more than that."""
    if share > 1:
        return "more than 100"
    return f"{100 * share:.1f}" if share < 0.1 else f"{100 * share:.0f}"


def _other_steps(found: Comparison) -> bool:
    names = {"GBS", "NNODES", "GPUS_PER_NODE", "GPUS", "SEQ_LEN", "--global-batch-size", "--seq-length"}
    return bool(names & set(chain.from_iterable([it.name] for it in found.configuration)))
