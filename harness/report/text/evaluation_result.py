"""The tables that end an evaluation: what was measured of one checkpoint, and where the file is."""

from collections.abc import Callable, Mapping
from textwrap import fill
from typing import Any

from harness.report.text.evaluation_figures import number_of, section_of, show_number, show_text
from harness.report.text.plain_table import plain_table
from harness.report.text.printable import printable
from harness.report.text.routing_table import show_routing
from harness.report.text.score_table import show_scores
from harness.units import show_seconds

_TITLES: Mapping[str, str] = {
    "validation": "Loss",
    "routing_stats": "Routing",
    "inference_performance": "Speed",
    "computational_cost": "Cost",
    "lm_eval": "Tasks",
}
_COST = {"tflops": "TFLOP a forward", "active_params_billions": "active parameters (billions)"}
_WIDTH = 90
"""Of a sentence's lines, in characters."""

type _Rows = list[tuple[str, str]]


def show_result(document: Mapping[str, Any]) -> str:
    """Tables of every section that the document has, one after another."""
    tables: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
        "validation": lambda section: plain_table(_loss(section)),
        "routing_stats": show_routing,
        "inference_performance": lambda section: plain_table(_speed(section)),
        "computational_cost": lambda section: plain_table(_cost(section)),
        "lm_eval": show_scores,
    }
    measured = [
        f"{title}\n\n{tables[name](section)}"
        for name, title in _TITLES.items()
        if (section := section_of(document, name))
    ]
    where = f"result: {printable(show_text(document, 'output_file'))}"
    return "\n\n".join([plain_table(_header(document)), *measured, where])


def _header(document: Mapping[str, Any]) -> _Rows:
    step, world = document.get("step"), section_of(document, "mapping")
    mapping = ", ".join(f"{name.upper()} {size}" for name, size in world.items() if name != "ranks")
    ranks = f" on {world['ranks']} ranks ({mapping})" if "ranks" in world else ""
    at_step = "" if step is None else f", step {step}"
    return [
        ("checkpoint", show_text(document, "checkpoint_dir") + at_step),
        ("model", show_text(document, "model")),
        ("evaluated", f"{show_text(document, 'eval_timestamp')}, seed {show_text(document, 'seed')}"),
        ("time", show_number(document, "walltime_seconds", show_seconds) + ranks),
    ]


def _loss(validation: Mapping[str, Any]) -> _Rows:
    """Loss, what follows from it, the loss of each MTP depth, and on what it was measured."""
    data, mtp = section_of(validation, "data"), section_of(validation, "mtp_loss")
    stderr = number_of(validation, "stderr")
    spread = "" if stderr is None else f" ± {stderr:.4f} (standard error over windows)"
    rows = [
        ("loss", show_number(validation, "loss", "{:.4f}".format) + spread),
        ("perplexity", show_number(validation, "perplexity", "{:.4f}".format)),
        *((f"loss of MTP {name.removeprefix('mtp_')}", show_number(mtp, name, "{:.4f}".format)) for name in mtp),
        ("tokens", show_number(validation, "tokens", "{:,.0f}".format) + _odd_tokens(validation, data)),
    ]
    if number_of(validation, "bits_per_byte") is not None:
        rows.insert(2, ("bits per byte", show_number(validation, "bits_per_byte", "{:.4f}".format)))
    return [*rows, *([("rule", fill(str(data["rule"]), _WIDTH))] if "rule" in data else [])]


def _odd_tokens(validation: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Whether data was cut, and losses that are no numbers."""
    lost = number_of(validation, "tokens_not_finite")
    cut = ", cut at the most that was asked for" if data.get("truncated") is True else ""
    return cut + (f", the loss of {lost:,.0f} is not finite" if lost else "")


def _speed(speed: Mapping[str, Any]) -> _Rows:
    prefill, decode = section_of(speed, "prefill"), section_of(speed, "decode")
    batch = f"{show_text(speed, 'batch_size')} × {show_text(speed, 'seq_len')} tokens"
    rows = [
        ("latency", f"{_milliseconds(speed)} a batch of {batch}"),
        ("throughput", show_number(speed, "throughput_tokens_per_sec", "{:,.0f} tokens/s".format)),
    ]
    if prefill:
        rows.append(("prefill", f"{_milliseconds(prefill)}, {_tokens_per_s(prefill)}"))
    if decode:
        rows.append(("decode", f"{show_number(decode, 'ms_per_token', _ms)} a token, {_tokens_per_s(decode)}"))
    memory = [show_number(speed, f"memory_{kind}_gb", "{:.2f} GB".format) for kind in ("allocated", "reserved")]
    passes = f"{show_text(speed, 'repeats')} passes after {show_text(speed, 'warmup')} of warm-up"
    return [*rows, ("memory", f"{memory[0]} allocated, {memory[1]} reserved"), ("measured", passes)]


def _milliseconds(section: Mapping[str, Any]) -> str:
    """`12.5 ms [12.0 ms to 14.2 ms] (median [p05 to p95])`, or the median alone."""
    low, high = (number_of(section, f"latency_ms_{name}") for name in ("p05", "p95"))
    spread = f" [{_ms(low)} to {_ms(high)}] (median [p05 to p95])" if low is not None and high is not None else ""
    return show_number(section, "latency_ms", _ms) + spread


def _ms(duration_ms: float) -> str:
    return show_seconds(duration_ms / 1000)


def _tokens_per_s(section: Mapping[str, Any]) -> str:
    return show_number(section, "tokens_per_s", "{:,.0f} tokens/s".format)


def _cost(cost: Mapping[str, Any]) -> _Rows:
    """The figures that every result has, then what else was said with them."""
    known = [(label, show_number(cost, name, "{:.4g}".format)) for name, label in _COST.items()]
    return [*known, *(row for name in cost if name not in _COST for row in _stated(cost, name))]


def _stated(section: Mapping[str, Any], name: str, within: str = "") -> _Rows:
    """A row for a value, or for each that it has by name."""
    label, inner = within + name.replace("_", " "), section[name]
    if isinstance(inner, Mapping):
        return [row for part in inner for row in _stated(inner, part, f"{label}: ")]
    number = number_of(section, name)
    text = show_text(section, name) if number is None else f"{number:,.4g}"
    return [(label, fill(text, _WIDTH))]
