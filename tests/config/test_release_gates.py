"""What a release decides begins where the release does, on both sides of the border."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from harness.config.provenance import Resolved
from harness.config.releases import Release, known, load, releases_with
from harness.errors import ConfigError

MIXTRAL, V3, LITE = ("MODEL=Mixtral-8x7B",), ("MODEL=DeepSeek-V3",), ("MODEL=DeepSeek-V2-Lite",)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Words whose `flag` (with `value`, if that is what the release decides) Megatron has from `since` on.

    `told`: what a notice or a refusal says of it before, where the user loses something.
    """

    words: Sequence[str]
    flag: str
    value: str | None = None
    since: Release
    told: str = ""
    cluster: str = "template"


GATES = {
    "YaRN is named": Gate(words=V3, flag="--rope-type", value="yarn", since=Release(0, 14)),
    "flex": Gate(
        words=(*MIXTRAL, "MOE_TOKEN_DISPATCHER=deepep"),
        flag="--moe-token-dispatcher-type",
        value="flex",
        since=Release(0, 12),
        told="has no flex dispatcher (0.12 has)",
    ),
    "flex's backend is named": Gate(
        words=(*MIXTRAL, "MOE_TOKEN_DISPATCHER=deepep"), flag="--moe-flex-dispatcher-backend", since=Release(0, 16)
    ),
    "the all-to-all is overlapped": Gate(
        words=(*MIXTRAL, "A2A_OVERLAP=1"),
        flag="--overlap-moe-expert-parallel-comm",
        since=Release(0, 14),
        told="Megatron has it from 0.14 on",
    ),
    "fp8 in blocks": Gate(
        words=(*MIXTRAL, "PR=fp8"),
        flag="--fp8-recipe",
        value="blockwise",
        since=Release(0, 13),
        told="blockwise came with 0.13",
    ),
    "a recipe is named": Gate(words=(*MIXTRAL, "PR=fp8"), flag="--fp8-recipe", since=Release(0, 12)),
    "mxfp8": Gate(
        words=(*MIXTRAL, "PR=mxfp8"),
        flag="--fp8-recipe",
        value="mxfp8",
        since=Release(0, 12),
        told="has no --fp8-recipe; 0.12 has",
    ),
    "mxfp8 parameters": Gate(
        words=(*MIXTRAL, "PR=mxfp8"), flag="--reuse-grad-buf-for-mxfp8-param-ag", since=Release(0, 13)
    ),
    "moments in bf16": Gate(words=(*MIXTRAL, "PR=fp8"), flag="--exp-avg-dtype", value="bf16", since=Release(0, 13)),
    "an offloaded optimizer": Gate(
        words=(*MIXTRAL, "OPTIMIZER_OFFLOAD=1"),
        flag="--optimizer-cpu-offload",
        since=Release(0, 12),
        told="0.12 and newer can",
    ),
    "a layout of one's own": Gate(
        words=(*MIXTRAL, "PP=4", "PP_LAYOUT=Et*8|t*8|t*8|t*8L"),
        flag="--pipeline-model-parallel-layout",
        since=Release(0, 13),
        told="takes a layout from 0.13 on",
    ),
    "a layout that is chosen": Gate(
        words=(*LITE, "PP=4", "VPP=2"), flag="--pipeline-model-parallel-layout", since=Release(0, 13)
    ),
    "the sample's end of document": Gate(
        words=MIXTRAL, flag="--null-tokenizer-eod-id", value="256", since=Release(0, 18), cluster="laptop"
    ),
}


@pytest.mark.parametrize("release", known(), ids=str)
@pytest.mark.parametrize("name", GATES)
def test_a_flag_is_there_exactly_from_its_release_on(resolve, name: str, release: Release) -> None:
    gate = GATES[name]
    has = release >= gate.since
    resolved, told = resolved_or_refused(resolve, gate, release)
    value = resolved.megatron_args.get(gate.flag) if resolved else None
    assert (value == gate.value if gate.value else value is not None) == has
    assert resolved or not has
    # What a release lacks is told of in a setting's words, not by its parser.
    assert not any(f"has no {gate.flag}; left out" in text for text in told)
    assert not gate.told or any(gate.told in text for text in told) == (not has)


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_where_the_releases_differ(name: str) -> None:
    gate = GATES[name]
    before = known()[known().index(gate.since) - 1]
    old, new = load(before).option(gate.flag), load(gate.since).option(gate.flag)
    assert new is not None
    assert old is None or (gate.value is not None and gate.value not in old.choices and gate.value in new.choices)


@pytest.mark.parametrize("release", releases_with("--pipeline-model-parallel-layout"), ids=str)
def test_a_chosen_layout_names_mtp_modules_from_0_14_on(resolve, release: Release) -> None:
    words = ("NUM_LAYERS=61", "PP=4", "VPP=2", "PP_FIRST=", "PP_LAST=", f"MCORE_RELEASE_VERSION={release}")
    flags = resolve(*V3, *words, cluster="template").megatron_args
    assert ("m" in flags.text("--pipeline-model-parallel-layout")) == (release >= Release(0, 14))
    assert flags.text("--mtp-num-layers") == "1"
    plain = resolve(*LITE, "PP=4", "VPP=2", f"MCORE_RELEASE_VERSION={release}", cluster="template").megatron_args
    assert "m" not in plain.text("--pipeline-model-parallel-layout", "m")


@pytest.mark.parametrize("release", known(), ids=str)
def test_a_q_norm_that_only_the_newest_spec_adds_is_told_of(resolve, release: Release) -> None:
    notices = resolve(*LITE, f"MCORE_RELEASE_VERSION={release}", cluster="template").notices
    assert any("adds a q norm" in notice for notice in notices) == (release >= Release(0, 19))


def resolved_or_refused(resolve, gate: Gate, release: Release) -> tuple[Resolved | None, Sequence[str]]:  # type: ignore[no-untyped-def]
    """The configuration and its notices, or None and why a setting is refused.

    What the release's own parser found in a rule's flag would be the rule's fault.
    """
    try:
        resolved: Resolved = resolve(*gate.words, f"MCORE_RELEASE_VERSION={release}", cluster=gate.cluster)
    except ConfigError as error:
        assert not any(problem.startswith("rule ") for problem in error.problems)
        return None, error.problems
    return resolved, resolved.notices
