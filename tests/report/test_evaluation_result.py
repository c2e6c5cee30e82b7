"""The tables that end an evaluation, to the letter; what was not measured is left out."""

import subprocess
import sys

from evaluation_results import sections, whole_result

from harness.report.text.evaluation_result import show_result

WHOLE = """\
checkpoint  /runs/a/checkpoints, step 150
model       DeepSeek-V2-Lite
evaluated   2026-01-31T12:00:05Z, seed 1337
time        3.25 s on 2 ranks (TP 1, PP 1, EP 2, ETP 1, DP 2)

Loss

loss           2.5000 ± 0.0625 (standard error over windows)
perplexity     12.1825
bits per byte  3.6067
loss of MTP 0  2.7500
loss of MTP 1  3.0000
tokens         400, cut at the most that was asked for
rule           documents are joined; windows of 64 tokens do not overlap

Routing

router        Gini                     CV                       utilisation              note
------------  -----------------------  -----------------------  -----------------------  --------------
layer 1       0.040 (0.046) excellent  0.070 (0.087) excellent  1.000 (1.000) excellent  too few tokens
layer 10      0.875 (0.065) poor       2.646 (0.122) poor       0.125 (1.000) poor       400 dropped
MTP 0         0.042 (0.046) excellent  0.077 (0.087) excellent  1.000 (1.000) excellent  too few tokens
mean, no MTP  0.457 poor               1.358 poor               0.562 poor

router    max/mean     MaxVio       MaxVio/batch    entropy        dead    EP balance     vocabulary
--------  -----------  -----------  --------------  -------------  ------  -------------  -------------
layer 1   1.10 (1.13)  0.10 (0.13)  0.27 (0.34)     0.999 (0.998)  0 (0)   0.957 (0.975)  0.200 (0.198)
layer 10  8.00 (1.19)  7.00 (0.19)  7.00 (0.48)     0.000 (0.996)  7 (0)   0.500 (0.964)  1.000 (1.000)
MTP 0     1.10 (1.13)  0.10 (0.13)  0.27 (0.34)     0.999 (0.998)  0 (0)   0.985 (0.975)  0.198 (0.190)

tokens                      400
Gini, by convention         < 0.1 excellent, to 0.2 good, to 0.3 fair, > 0.3 poor
CV, by convention           < 0.2 excellent, to 0.4 good, to 0.5 fair, > 0.5 poor
utilisation, by convention  > 0.95 excellent, to 0.8 good, < 0.8 poor
EP balance                  mean/max of the loads of 2 ranks, neighbouring experts together
(noise)                     uniform random routing of as many tokens, k different experts each; its CV is
                            sqrt((E-k)/(T*k)), its Gini CV*sqrt((E-1)/(pi*E))
too few tokens              the CV is within two spreads of that of the noise, which is CV/sqrt(2(E-1)) wide
vocabulary specialisation   of each token id, the share of its occurrences whose top-1 expert is its most frequent
                            one, as a mean over tokens; repeated: over ids seen twice or more, as an id seen once has
                            the share 1; its noise: the same after shuffling the top-1 experts among the tokens, which
                            keeps the loads

Speed

latency     12.5 ms [12.0 ms to 14.2 ms] (median [p05 to p95]) a batch of 2 × 64 tokens
throughput  10,240 tokens/s
prefill     11.5 ms, 11,130 tokens/s
decode      3.2 ms a token, 615 tokens/s
memory      1.50 GB allocated, \u2013 reserved
measured    5 passes after 2 of warm-up

Cost

TFLOP a forward               0.0125
active parameters (billions)  0.00275
tflops per s                  1
flops per token: megatron     9.766e+07
convention: flops             forward only

Tasks

task      documents    metric         score    stderr
--------  -----------  -------------  -------  --------
arc_easy  100          acc            0.2500   0.0125
                       acc_norm       0.5000   \u2013
wiki      \u2013            bits_per_byte  2.6550   \u2013

result: /runs/a/eval/eval_results_20260131_120005.json"""


def test_every_section_is_shown() -> None:
    document = {**whole_result(), "output_file": "/runs/a/eval/eval_results_20260131_120005.json"}
    assert show_result(document) == WHOLE


def test_missing_parts_are_left_out() -> None:
    titles = {"validation": "Loss", "routing_stats": "Routing", "inference_performance": "Speed"}
    titles |= {"computational_cost": "Cost", "lm_eval": "Tasks"}
    for name, title in titles.items():
        text = show_result(whole_result(**{name: sections()[name]}))
        assert [it for it in titles.values() if f"\n{it}\n" in text] == [title]
    assert "Routing" not in show_result(whole_result(routing_stats={}))


def test_figures_that_are_missing_or_no_numbers_are_dashes() -> None:
    text = show_result(whole_result(validation={"loss": float("nan"), "perplexity": None, "tokens": "many"}))
    assert "Loss\n\nloss        nan\nperplexity  \u2013\ntokens      \u2013\n\nresult" in text
    text = show_result({"inference_performance": {"latency_ms": 1.0, "decode": 3}, "lm_eval": {"results": []}})
    assert "latency     1.0 ms a batch of \u2013 × \u2013 tokens\nthroughput  \u2013\nmemory" in text


def test_what_a_task_calls_itself_cannot_clear_the_screen() -> None:
    scores = {"results": {"a\x1b[2J": {"acc,none": 0.5, "exact_match,strict": 1, "exact_match_stderr,strict": 0.1}}}
    lines = show_result(whole_result(lm_eval=scores)).splitlines()
    assert "a\\x1b[2J  \u2013            acc                   0.5000   \u2013" in lines
    assert "                       exact_match (strict)  1.0000   0.1000" in lines


def test_results_are_read_and_shown_without_numpy() -> None:
    """The launcher is installed without it."""
    modules = "harness.report.text.evaluation_result, harness.evaluation.document, harness.evaluation.result_file"
    code = f"import sys, {modules}; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_nothing_is_noted_of_a_router_there_is_no_column_for_it() -> None:
    document = whole_result()
    for layer in document["routing_stats"].values():
        layer.update(too_few_tokens=False, dropped_assignments=0)
    shown = show_result(document)
    assert "utilisation\n" in shown
    assert "note" not in shown
