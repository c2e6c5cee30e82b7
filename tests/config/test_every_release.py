"""Each model, on each release, with each toggle: argv that the release's own parser accepts."""

import pytest

from harness.config.releases import Release, check, elsewhere, known, load
from harness.config.roots import Roots

MODELS = Roots.standard().names("model")
TOGGLES = {
    "preset": (),
    "fp8": ("PR=fp8",),
    "profile": ("PROFILE=1",),
    "torch-profile": ("PROFILE=torch",),
    "a2a-overlap": ("A2A_OVERLAP=1",),
    "vpp": ("PP=2", "VPP=2", "PP_FIRST=", "PP_LAST="),
    "fp8-profile-overlap": ("PR=fp8", "PROFILE=1", "A2A_OVERLAP=1"),
    "deepep": ("MOE_TOKEN_DISPATCHER=deepep",),
    "tracked": ("WANDB_MODE=offline", "SAVE_INTERVAL=100", "FORCE_BALANCE=1", "TP=2", "TP_COMM_OVERLAP=1"),
}


def test_every_model_is_here() -> None:
    assert [
        *("DeepSeek-V2", "DeepSeek-V2-Lite", "DeepSeek-V3", "Kimi-K2", "Mixtral-8x22B", "Mixtral-8x2B", "Mixtral-8x7B"),
        *("Moonlight-16B-A3B", "Qwen2-57B-A14B", "Qwen3-235B-A22B", "Qwen3-30B-A3B"),
    ] == MODELS


@pytest.mark.parametrize("cluster", ["laptop", "template"])
@pytest.mark.parametrize("toggle", TOGGLES)
@pytest.mark.parametrize("model", MODELS)
def test_argv_is_accepted_by_every_release(resolve, model: str, toggle: str, cluster: str) -> None:
    for release in known():
        resolved = resolve(f"MODEL={model}", f"MCORE_RELEASE_VERSION={release}", *TOGGLES[toggle], cluster=cluster)
        options = load(release).options
        for flag, value in resolved.megatron_args.items():
            assert value is False or flag in options, f"{release}: {flag}"
            assert value is False or check(options[flag], value) is None, f"{release}: {flag} {value}"


@pytest.mark.parametrize("release", known(), ids=str)
def test_what_differs_between_releases(resolve, release: Release) -> None:
    flags = resolve("MODEL=DeepSeek-V3", f"MCORE_RELEASE_VERSION={release}", cluster="template").megatron_args
    assert flags.text("--rope-type") == ("yarn" if release >= Release(0, 14) else "")
    assert (flags.text("--mscale"), flags.text("--mscale-all-dim")) == ("1.0", "1.0")
    assert flags.text("--moe-layer-freq") == "([0]*3+[1]*58)"
    assert ("--mtp-num-layers" in flags) == (release >= Release(0, 12))
    assert ("--moe-flex-dispatcher-backend" in flags) == (release >= Release(0, 16))
    assert ("--moe-enable-deepep" in flags) == (Release(0, 12) <= release < Release(0, 16))
    mixtral = resolve("MODEL=Mixtral-8x7B", f"MCORE_RELEASE_VERSION={release}", cluster="template").megatron_args
    assert ("--moe-layer-freq" in mixtral) == (release <= Release(0, 12))
    assert "--moe-router-pre-softmax" not in mixtral


def test_what_a_release_lacks_is_said(resolve) -> None:
    notices = "\n".join(resolve("MODEL=DeepSeek-V3", "MCORE_RELEASE_VERSION=0.11").notices)
    assert "Megatron 0.11.0 has no --mtp-num-layers: it trains without multi-token prediction" in notices
    notices = "\n".join(resolve("MODEL=Qwen2-57B-A14B", "MCORE_RELEASE_VERSION=0.15").notices)
    assert "builds the shared experts without their gate" in notices
    notices = "\n".join(resolve("MODEL=DeepSeek-V2-Lite", cluster="template").notices)
    assert "q norm that DeepSeek-V2-Lite does not have" in notices


SPEED = (
    *("--cross-entropy-fusion-impl", "--delay-wgrad-compute", "--enable-experimental", "--log-device-memory-used"),
    *("--log-memory-interval", "--moe-deepep-num-sms", "--moe-hybridep-num-sms", "--moe-router-fusion"),
    *("--overlap-moe-expert-parallel-comm", "--reuse-grad-buf-for-mxfp8-param-ag"),
)
MEANING = {
    "--mtp-num-layers": "trains without multi-token prediction",
    "--moe-shared-expert-gate": "builds the shared experts without their gate",
    "--moe-router-dtype": "routes in the model's precision",
    "--moe-router-force-load-balancing": "cannot force balance",
}
LACKING = [(flag, release) for flag in (*SPEED, *MEANING) for release in known() if flag not in load(release).options]


@pytest.mark.parametrize(("flag", "release"), LACKING, ids=str)
def test_what_a_release_can_do_without_is_left_out_and_its_loss_said(resolve, flag: str, release: Release) -> None:
    option = elsewhere(flag)
    assert option is not None
    words = [flag] if option.is_switch else [flag, option.choices[0] if option.choices else "1"]
    resolved = resolve("MODEL=Mixtral-8x7B", f"MCORE_RELEASE_VERSION={release}", cluster="template", extra=words)
    lost = f"it {MEANING[flag]}" if flag in MEANING else "left out, which changes its speed only"
    said = [notice for notice in resolved.notices if f"has no {flag}" in notice]
    assert flag not in resolved.megatron_args
    assert len(said) == 1
    assert lost in said[0]


def test_every_flag_that_can_be_lost_is_lost_somewhere() -> None:
    assert {flag for flag, _ in LACKING} == {*SPEED, *MEANING}


@pytest.mark.parametrize("release", known(), ids=str)
def test_either_name_of_padding_is_written_as_the_release_has_it(resolve, release: Release) -> None:
    names = ("--moe-router-padding-for-quantization", "--moe-router-padding-for-fp8")
    has = set(names) & load(release).options.keys()
    for name in names:
        resolved = resolve("MODEL=Mixtral-8x7B", f"MCORE_RELEASE_VERSION={release}", cluster="template", extra=[name])
        written = resolved.megatron_args.keys() & set(names)
        assert written == ({name} if name in has else has)
        assert any(f"has no {name}; left out" in notice for notice in resolved.notices) == (not has)


def test_another_name_for_the_same_thing(resolve) -> None:
    flags = resolve("MODEL=DeepSeek-V3", "PR=fp8", "MCORE_RELEASE_VERSION=0.15", cluster="template").megatron_args
    assert flags.switch("--moe-router-padding-for-fp8")
    assert "--moe-router-padding-for-quantization" not in flags
