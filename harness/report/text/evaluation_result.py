"""The tables that end an evaluation: what was measured of one checkpoint, and where the file is."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.report.text.evaluation_figures import number_of, section_of, show_number, show_text
from harness.report.text.plain_table import MISSING, plain_table, show_known
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
    mtp = validation.get("mtp_losses")
    depths = dict(enumerate(mtp)) if isinstance(mtp, list) else {}
    data = {"bits per byte": "bits_per_byte"} if validation.get("bits_per_byte") is not None else {}
    figures = {"loss": "loss", "perplexity": "perplexity", **data}
    return [
        *((label, show_number(validation, name, "{:.4f}".format)) for label, name in figures.items()),
        *((f"MTP {depth} loss", show_number({"": loss}, "", "{:.4f}".format)) for depth, loss in depths.items()),
        ("tokens", show_number(validation, "tokens", "{:,.0f}".format)),
        *([("rule", str(validation["rule"]))] if "rule" in validation else []),
    ]


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
    others = [(name.replace("_", " "), _plain(cost, name)) for name in cost if name not in _COST]
    return [*known, *others]


def _plain(section: Mapping[str, Any], name: str) -> str:
    value = section[name]
    if isinstance(value, Mapping):
        return ", ".join(f"{inner.replace('_', ' ')} {_plain(value, inner)}" for inner in value) or MISSING
    number = number_of(section, name)
    return show_text(section, name) if number is None else show_known(number, "{:.4g}".format)
