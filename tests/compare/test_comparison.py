"""Evaluations side by side, on whole result documents."""

import math
from typing import Any

import pytest
from evaluation_documents import ROLLING, TASK, Change, evaluation_document
from hypothesis import given
from hypothesis import strategies as st

from harness.compare.comparison import ComparedMetric, Comparison
from harness.compare.evaluations import compare_evaluations, evaluation_names
from harness.errors import ConfigError
from harness.evaluation.spec import PARTS


def _metric(found: Comparison, name: str) -> ComparedMetric:
    return next(metric for metric in found.metrics if metric.name == name)


def _beyond(found: Comparison, name: str) -> bool | None:
    (contrast,) = _metric(found, name).contrasts
    assert contrast is not None
    return contrast.significance.beyond


@given(st.integers(0, 50), st.floats(1, 6))
def test_a_document_is_no_different_from_itself(noise: int, loss: float) -> None:
    document = evaluation_document(noise=noise, loss=loss)
    for metric in compare_evaluations([document, document]).metrics:
        (contrast,) = metric.contrasts
        assert contrast is not None
        assert (contrast.difference, metric.better) == (0, None)
        assert not contrast.significance.beyond


@given(st.integers(0, 50), st.integers(51, 99), st.floats(-0.1, 0.1))
def test_swapping_turns_signs_and_keeps_p(one: int, other: int, apart: float) -> None:
    a, b = evaluation_document(100, noise=one), evaluation_document(200, noise=other, loss=3 + apart)
    there, back = compare_evaluations([a, b]), compare_evaluations([b, a])
    for metric in there.metrics:
        turned = _metric(back, metric.name)
        (forth,), (backward,) = metric.contrasts, turned.contrasts
        assert forth is not None and backward is not None
        assert forth.difference == -backward.difference
        assert forth.significance.p == backward.significance.p
        assert forth.significance.beyond == backward.significance.beyond
        assert metric.better == (None if turned.better is None else 1 - turned.better)


def test_all_parts_and_metrics_are_there_in_their_order() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, noise=1)])
    assert [part for part in PARTS if any(metric.part == part for metric in found.metrics)] == list(PARTS)
    names = [metric.name for metric in found.metrics]
    assert {"loss", "mtp_loss.mtp_0", "layer_1.gini_coefficient", f"{TASK} acc,none", "latency_ms", "tflops"} <= set(
        names
    )
    assert not [name for name in names if "noise" in name or "p95" in name or "tokens_per_expert" in name]
    assert found.names == ("iter_0000100", "iter_0000200")


def test_a_lower_loss_is_better_and_beyond_the_noise_of_its_windows() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, noise=1, loss=2.9)])
    for name in ("loss", "perplexity", "bits_per_byte"):
        assert (_metric(found, name).better, _beyond(found, name)) == (1, True)
    (contrast,) = _metric(found, "loss").contrasts
    assert contrast is not None and contrast.significance.method == "paired t over 40 windows"
    assert _beyond(found, "mtp_loss.mtp_0") is None


def test_perplexity_is_told_in_its_own_units() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, noise=1)])
    loss, perplexity = (_metric(found, name).contrasts[0] for name in ("loss", "perplexity"))
    assert loss is not None and perplexity is not None and loss.significance.least is not None
    base = _metric(found, "perplexity").values[0]
    assert base is not None
    assert perplexity.significance.least == pytest.approx(base * math.expm1(loss.significance.least))
    assert perplexity.significance.p == loss.significance.p


def test_balance_is_held_against_redraws_of_its_assignments() -> None:
    near = compare_evaluations([evaluation_document(), evaluation_document(noise=1)])
    far = compare_evaluations([evaluation_document(), evaluation_document(noise=1, skew=0.15)])
    for name in ("layer_0.gini_coefficient", "aggregate.avg_gini_coefficient", "layer_1.entropy", "layer_0.max_vio"):
        assert (_beyond(near, name), _beyond(far, name)) == (False, True)
        assert _metric(far, name).better == 0
    assert _beyond(far, "layer_0.balancedness.mean_over_max") is True
    assert _beyond(far, "layer_0.max_vio_batch.mean") is None


def test_counts_of_another_number_of_experts_are_not_redrawn() -> None:
    other = evaluation_document(noise=1)
    other["routing_stats"]["layer_0"]["tokens_per_expert"] = [1000] * 4
    found = compare_evaluations([evaluation_document(), other])
    assert (_beyond(found, "layer_0.gini_coefficient"), _beyond(found, "layer_1.gini_coefficient")) == (None, False)


def test_scores_of_documents_are_paired_where_both_kept_them() -> None:
    a, b = evaluation_document(), evaluation_document(noise=3)
    name = f"{TASK} acc,none"
    (kept,) = _metric(compare_evaluations([a, b]), name).contrasts
    assert kept is not None and kept.significance.method.startswith("McNemar exact over 200 documents")
    del a["lm_eval"]["samples"]
    (lost,) = _metric(compare_evaluations([a, b]), name).contrasts
    assert lost is not None and lost.significance.method.startswith("z from")
    assert _beyond(compare_evaluations([a, b]), f"{ROLLING} bits_per_byte,none") is None  # it has no standard error


def test_whole_texts_are_paired_by_their_likelihoods() -> None:
    """Bits a byte and perplexities come of one ratio, so that they have one p, each with its own least difference."""
    documents = [evaluation_document(), evaluation_document(noise=3)]
    for document in documents:
        kept = document["lm_eval"]["samples"][ROLLING]
        mean = document["lm_eval"]["results"][ROLLING]["bits_per_byte,none"] * math.log(2)
        document["lm_eval"]["results"][ROLLING]["byte_perplexity,none"] = math.exp(mean)
        for row in kept:
            row["byte_perplexity"] = row["bits_per_byte"]
    found = compare_evaluations(documents)
    bits, perplexity = (_metric(found, f"{ROLLING} {name},none") for name in ("bits_per_byte", "byte_perplexity"))
    (of_bits,), (of_perplexity,) = bits.contrasts, perplexity.contrasts
    assert of_bits is not None and of_perplexity is not None
    assert of_bits.significance.method == of_perplexity.significance.method == "paired t over 20 documents"
    assert of_bits.significance.p == of_perplexity.significance.p
    least, least_of_perplexity = of_bits.significance.least, of_perplexity.significance.least
    assert least is not None and perplexity.values[0] is not None
    assert least_of_perplexity == pytest.approx(perplexity.values[0] * math.expm1(least * math.log(2)))


def test_a_metric_that_is_no_mean_of_its_scores_is_not_paired() -> None:
    a, b = evaluation_document(), evaluation_document(noise=3)
    for document in (a, b):
        document["lm_eval"]["results"][TASK]["acc,none"] += 0.1
    (contrast,) = _metric(compare_evaluations([a, b]), f"{TASK} acc,none").contrasts
    assert contrast is not None and contrast.significance.method.startswith("z from")


def test_scores_of_another_filter_are_left_alone() -> None:
    documents = [evaluation_document(), evaluation_document(noise=3)]
    for document in documents:
        rows = document["lm_eval"]["samples"][TASK]
        document["lm_eval"]["samples"][TASK] = [
            row | {"filter": kept, "acc": row["acc"] if kept == "none" else 0.0}
            for row in rows
            for kept in ("strict", "none")
        ]
    (contrast,) = _metric(compare_evaluations(documents), f"{TASK} acc,none").contrasts
    assert contrast is not None and contrast.significance.method.startswith("McNemar exact over 200 documents")


def test_speed_is_apart_where_its_ranges_are() -> None:
    near = compare_evaluations([evaluation_document(), evaluation_document(noise=10)])
    far = compare_evaluations([evaluation_document(), evaluation_document(noise=30)])
    assert [_beyond(found, "latency_ms") for found in (near, far)] == [False, True]
    assert [_beyond(found, "throughput_tokens_per_sec") for found in (near, far)] == [False, True]
    assert [_beyond(far, name) for name in ("prefill.latency_ms", "decode.tokens_per_s")] == [True, False]
    assert _beyond(far, "memory_allocated_gb") is None


def test_a_throughput_of_more_ranks_has_a_range_of_its_own() -> None:
    """Twice the ranks at the same latency: latencies overlap, throughputs do not."""
    other = evaluation_document(noise=1)
    other["inference_performance"]["throughput_tokens_per_sec"] *= 2
    found = compare_evaluations([evaluation_document(), other])
    assert [_beyond(found, name) for name in ("latency_ms", "throughput_tokens_per_sec")] == [False, True]


def test_results_are_named_by_what_tells_them_apart() -> None:
    documents = [evaluation_document(step) for step in (1, 2)]
    assert evaluation_names(documents) == ("iter_0000001", "iter_0000002")
    for document in documents:
        document["checkpoint_dir"] = "/ckpt"
    assert evaluation_names(documents) == ("step 1", "step 2")
    for document in documents:
        document["step"] = None
    assert evaluation_names(documents) == ("eval_results_1.json", "eval_results_2.json")
    assert evaluation_names(documents[:1] * 2) == ("result 1", "result 2")


def test_backends_that_differ_are_told_and_compared() -> None:
    """A result that names none is of the engine's ranks."""
    ours, theirs = evaluation_document(1, parts=["tasks"]), evaluation_document(2, parts=["tasks"])
    assert compare_evaluations([ours, theirs]).notices == ()
    theirs["lm_eval"]["backend"] = "hf"
    assert compare_evaluations([ours, theirs]).notices == (
        "tasks were answered by different backends: megatron in iter_0000001, hf in iter_0000002",
    )


def test_a_part_that_one_lacks_is_told_and_left_out() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, parts=("loss", "cost"))])
    assert {metric.part for metric in found.metrics} == {"loss", "cost"}
    assert found.left_out == tuple(
        f"{part} is left out: only iter_0000100 measured it" for part in ("routing", "speed", "tasks")
    )


def test_a_metric_that_one_lacks_is_missing_not_zero() -> None:
    other = evaluation_document(200)
    other["validation"]["bits_per_byte"] = None
    found = _metric(compare_evaluations([evaluation_document(100), other]), "bits_per_byte")
    assert found.values[1] is None
    assert (found.contrasts, found.better) == ((None,), None)


def test_the_best_of_three() -> None:
    documents = [evaluation_document(step, loss=loss) for step, loss in ((1, 3.0), (2, 2.5), (3, 2.8))]
    found = _metric(compare_evaluations(documents), "loss")
    assert (found.better, len(found.contrasts)) == (1, 2)


def test_copies_of_a_tokenizer_are_alike() -> None:
    """Each checkpoint has one in its own folder; what the files hold counts."""
    documents = [evaluation_document(step) for step in (1, 2)]
    for document in documents:
        document["evaluation"]["data"] |= {"tokenizer": document["checkpoint_dir"], "tokenizer_sha256": "a" * 64}
    assert compare_evaluations(documents).left_out == ()
    documents[1]["evaluation"]["data"]["tokenizer_sha256"] = "b" * 64
    with pytest.raises(ConfigError, match="tokenizer"):
        compare_evaluations(documents)


UNLIKE: dict[str, tuple[Change, str]] = {
    "tokens": (
        lambda it: it["validation"]["data"].update(sha256="b" * 64),
        f"evaluated tokens (validation.data.sha256): {'b' * 64}, not {'a' * 64}",
    ),
    "tokenizer": (lambda it: it["evaluation"]["data"].update(tokenizer="/t"), "tokenizer (evaluation.data.tokenizer)"),
    "length": (lambda it: it["evaluation"].update(seq_len=256), "sequence length (evaluation.seq_len): 256, not 128"),
    "precision": (lambda it: it["config"].update(PR="bf16"), "precision (config.PR): bf16, not fp32"),
    "schema": (lambda it: it.update(schema_version=2), "schema version (schema_version): 2, not 1"),
    "batch": (lambda it: it["evaluation"].update(batch_size=1), "batch size (evaluation.batch_size): 1, not 8"),
    "repeats": (lambda it: it["evaluation"]["speed"].update(repeats=50), "measuring of speed: repeats 50, not 5"),
    "device": (
        lambda it: it["inference_performance"].update(device="NVIDIA H200"),
        "device (inference_performance.device): NVIDIA H200, not cpu",
    ),
    "convention": (lambda it: it["computational_cost"].update(convention="6ND"), "conventions of cost"),
    "task version": (lambda it: it["lm_eval"]["versions"].update({TASK: 2.0}), f"{TASK} 2.0, not 1.0"),
    "task": (lambda it: it["lm_eval"]["versions"].pop(TASK), f"versions of tasks: {TASK} none, not 1.0"),
    "shots": (lambda it: it["lm_eval"]["n-shot"].update({TASK: 5}), f"few-shot examples: {TASK} 5, not 0"),
    "limit": (lambda it: it["lm_eval"].update(limit=10), "limit of documents (lm_eval.limit): 10, not none"),
    "documents": (lambda it: it["lm_eval"]["n-samples"].pop(TASK), f"documents a task: {TASK} none, not"),
    "seeds": (lambda it: it["lm_eval"]["seeds"].update(fewshot_random_seed=1), "seeds: fewshot_random_seed 1, not"),
    "template": (lambda it: it["lm_eval"].update(chat_template_sha="c0ffee"), "c0ffee, not none"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_evaluations_are_refused_by_naming_the_difference(name: str) -> None:
    change, said = UNLIKE[name]
    other = evaluation_document(200)
    change(other)
    with pytest.raises(ConfigError) as error:
        compare_evaluations([evaluation_document(100), other])
    assert error.value.problems[0].startswith("iter_0000200 is unlike iter_0000100: ")
    assert said in error.value.problems[0]
    assert len(error.value.problems) == 2  # a difference that two parts share is told once, and what to do


def test_all_differences_of_all_documents_at_once() -> None:
    documents: list[dict[str, Any]] = [evaluation_document(step) for step in (1, 2, 3)]
    documents[1]["evaluation"]["seq_len"] = 256
    documents[2]["schema_version"] = 2
    documents[2]["lm_eval"]["limit"] = 5
    with pytest.raises(ConfigError) as error:
        compare_evaluations(documents)
    assert [problem.split(" is unlike ")[0] for problem in error.value.problems[:-1]] == [
        "iter_0000002",
        "iter_0000003",
        "iter_0000003",
    ]


def test_a_condition_of_a_part_that_one_lacks_does_not_count() -> None:
    other = evaluation_document(200, parts=("loss",))
    compare_evaluations([evaluation_document(100), other])


def test_routing_alone_is_alike_by_the_fingerprint_of_its_data() -> None:
    documents = [evaluation_document(step, parts=("routing",)) for step in (1, 2)]
    compare_evaluations(documents)
    documents[1]["evaluation"]["data"]["fingerprint"] = "f1"
    with pytest.raises(ConfigError, match=r"evaluated tokens \(evaluation.data.fingerprint\): f1, not f0"):
        compare_evaluations(documents)


def test_one_result_is_no_comparison() -> None:
    with pytest.raises(ConfigError, match="two results or more, not 1"):
        compare_evaluations([evaluation_document()])
