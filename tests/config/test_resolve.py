"""Layers, origins, interpolation and extra flags."""

from itertools import permutations

import pytest

from harness.config.roots import Roots
from harness.errors import ConfigError


def test_the_winner_and_every_loser_keep_their_place(resolve) -> None:
    history = resolve("MODEL=DeepSeek-V3", "EP=32").origins["EP"]
    assert [(entry.value, str(entry.origin).split(":")[0]) for entry in history] == [
        ("1", "built-in default"),
        ("64", "runtime_configs/benchmarking/runtime.conf"),
        ("2", "model_configs/proxies/laptop.yaml"),
        ("32", "command line"),
    ]


def test_every_line_number_is_true(resolve, repository) -> None:
    resolved = resolve("MODEL=DeepSeek-V2", cluster="template")
    checked = 0
    for name, history in resolved.origins.items():
        for entry in history:
            if entry.origin.path and entry.origin.line:
                line = (repository / entry.origin.path).read_text().splitlines()[entry.origin.line - 1]
                assert name in line or entry.origin.layer == "cluster conf", f"{name}: {line}"
                checked += 1
    assert checked > 50


def test_order_of_layers(resolve) -> None:
    def value_of_ep(*words: str, **given) -> str:
        return resolve("MODEL=DeepSeek-V3", *words, **given).megatron_args.text("--expert-model-parallel-size")

    assert value_of_ep(cluster="template") == "64"
    assert value_of_ep("PROXY=laptop", cluster="template") == "2"
    assert value_of_ep("PROXY=laptop", cluster="template", environ={"EP": "16"}) == "16"
    assert value_of_ep("EP=8", cluster="template", environ={"EP": "16"}) == "8"
    extra = ["--expert-model-parallel-size", "4"]
    assert value_of_ep("EP=8", cluster="template", environ={"EP": "16"}, extra=extra) == "4"


def test_an_empty_environment_variable_says_nothing_and_an_empty_word_unsets(resolve) -> None:
    assert resolve("MODEL=DeepSeek-V3", cluster="template", environ={"EP": ""}).integer("EP") == 64
    assert resolve("MODEL=DeepSeek-V3", "PP_FIRST=", "PP=1", cluster="template").settings["PP_FIRST"] is None


def test_what_the_user_types_arrives_as_it_was_typed(resolve) -> None:
    hostile = "a 'b' \"c\" $(touch /tmp/pwned) `id` ${HOME} $HOME"
    resolved = resolve("MODEL=Mixtral-8x7B", "WANDB_MODE=offline", f"COMMENT={hostile}", environ={"HOME": "/h"})
    assert resolved.text("COMMENT") == hostile
    assert resolved.megatron_args.text("--wandb-exp-name").endswith(hostile)
    extra = ["--wandb-project", hostile]
    assert resolve("MODEL=Mixtral-8x7B", extra=extra).megatron_args.text("--wandb-project") == hostile


def test_files_interpolate_settings_and_the_environment_but_no_secret(resolve, tmp_path) -> None:
    folder = tmp_path / "cluster_configs/benchmarking"
    folder.mkdir(parents=True)
    conf = folder / "mine.conf"
    conf.write_text("[cluster]\nDATASET = mock\nOUTPUT_PATH = ${HOME}/${MODEL}\nPRETRAIN = 1\n")
    resolved = resolve("MODEL=Mixtral-8x2B", "CLUSTER=mine", environ={"HOME": "/home/me"})
    assert resolved.text("OUTPUT_PATH") == "/home/me/Mixtral-8x2B"
    conf.write_text("[cluster]\nDATASET = mock\nPRETRAIN = 1\nCOMMENT = ${WANDB_API_KEY}\n")
    with pytest.raises(ConfigError, match=r"mine.conf:4: COMMENT: \$\{WANDB_API_KEY\} is a secret"):
        resolve("MODEL=Mixtral-8x2B", "CLUSTER=mine", environ={"WANDB_API_KEY": "0123456789"})
    conf.write_text("[cluster]\nRUN_NAME = ${COMMENT}\nCOMMENT = ${RUN_NAME}\n")
    with pytest.raises(ConfigError, match="refers to itself"):
        resolve("MODEL=Mixtral-8x2B", "CLUSTER=mine")


def test_declared_environment_can_be_overridden(resolve) -> None:
    assert resolve("MODEL=Mixtral-8x7B", environ={"NCCL_NVLS_ENABLE": "1"}).env["NCCL_NVLS_ENABLE"] == "1"
    resolved = resolve("MODEL=Mixtral-8x7B", "NCCL_NVLS_ENABLE=2", environ={"NCCL_NVLS_ENABLE": "1"})
    assert resolved.env["NCCL_NVLS_ENABLE"] == "2"
    assert str(resolved.origins["NCCL_NVLS_ENABLE"][-1].origin) == "command line"


def test_extra_flags_displace_flags_of_the_same_meaning(resolve) -> None:
    flags = resolve("MODEL=Mixtral-8x7B", extra=["--train-samples", "1000", "--fp16"]).megatron_args
    assert flags.text("--train-samples") == "1000"
    assert "--train-iters" not in flags
    assert flags.argv()[-2:] != ["--train-iters", "40"]


@pytest.mark.parametrize(
    "group",
    [  # of each, Megatron refuses two at once or lets one make the others void
        ("--lr-warmup-fraction", "--lr-warmup-iters"),
        ("--num-virtual-stages-per-pipeline-rank", "--num-layers-per-virtual-pipeline-stage"),
        ("--mock-data", "--data-path", "--train-data-path"),
        ("--bf16", "--fp16"),
    ],
)
def test_of_flags_that_exclude_each_other_the_one_typed_last_holds(resolve, group: tuple[str, ...]) -> None:
    typed = {flag: [flag] if flag in ("--mock-data", "--bf16", "--fp16") else [flag, "1"] for flag in group}
    for before, after in permutations(group, 2):
        flags = resolve("MODEL=Mixtral-8x7B", extra=[*typed[before], *typed[after]]).megatron_args
        assert flags.keys() & set(group) == {after}


@pytest.mark.parametrize("model", Roots.standard().names("model"))
def test_a_warm_up_in_iterations_displaces_the_models_fraction(resolve, model: str) -> None:
    written = resolve(f"MODEL={model}").megatron_args
    typed = resolve(f"MODEL={model}", extra=["--lr-warmup-iters", "10"]).megatron_args
    assert typed.keys() ^ written.keys() == {"--lr-warmup-fraction", "--lr-warmup-iters"}


def test_a_warm_up_in_samples_displaces_the_models_fraction(resolve) -> None:
    extra = ["--train-samples", "1000", "--lr-warmup-samples", "10"]
    flags = resolve("MODEL=DeepSeek-V3", extra=extra).megatron_args
    assert flags.keys() & {"--lr-warmup-fraction", "--lr-warmup-samples"} == {"--lr-warmup-samples"}


def test_extra_flags_in_every_shape(resolve) -> None:
    extra = ["--recompute-granularity=selective", "--recompute-modules", "moe_act", "mlp", "--log-params-norm"]
    flags = resolve("MODEL=Mixtral-8x7B", extra=extra).megatron_args
    assert flags["--recompute-granularity"] == "selective"
    assert flags["--recompute-modules"] == ("moe_act", "mlp")
    assert flags["--log-params-norm"] is True


def test_moe_extended_ep_becomes_etp_1(resolve) -> None:
    resolved = resolve("MODEL=DeepSeek-V3", cluster="template", extra=["--moe-extended-ep"])
    assert resolved.megatron_args.text("--expert-tensor-parallel-size") == "1"
    assert any("--moe-extended-ep" in notice for notice in resolved.notices)


def test_a_rule_never_overrides_what_the_user_wrote(resolve) -> None:
    resolved = resolve("MODEL=DeepSeek-V3", cluster="template", extra=["--moe-token-dispatcher-type", "allgather"])
    assert resolved.megatron_args.text("--moe-token-dispatcher-type") == "allgather"
    assert any("rule dispatcher would say" in notice and "kept" in notice for notice in resolved.notices)


def test_what_the_user_wrote_of_ranks_stands_beside_the_gpus_there_are(resolve) -> None:
    def ranks(**environ: str) -> tuple[int, int]:
        resolved = resolve("MODEL=DeepSeek-V3", environ=environ, gpus=4)
        return resolved.integer("GPUS_PER_NODE"), resolved.integer("EP")

    assert ranks(EP="8") == (4, 8)
    assert ranks(GPUS_PER_NODE="8") == (8, 2)
    assert ranks(GPUS_PER_NODE="8", EP="8") == (8, 8)


def test_the_environment_may_name_the_model_and_the_cluster(resolve) -> None:
    resolved = resolve(environ={"MODEL": "Mixtral-8x7B", "CLUSTER": "template"})
    assert (resolved.text("MODEL"), resolved.text("CLUSTER")) == ("Mixtral-8x7B", "template")
    assert resolved.integer("GPUS_PER_NODE") == 8
    assert resolve("MODEL=DeepSeek-V3", environ={"MODEL": "Mixtral-8x7B"}).text("MODEL") == "DeepSeek-V3"


@pytest.mark.parametrize(
    "name",
    [
        *("NCCL_ALGO", "NVTE_FLASH_ATTN", "CUDA_LAUNCH_BLOCKING", "CUDNN_LOGINFO_DBG", "CUBLAS_WORKSPACE_CONFIG"),
        *("TORCH_LOGS", "PYTORCH_CUDA_ALLOC_CONF", "UCX_TLS", "OMP_PROC_BIND", "GLOO_SOCKET_IFNAME"),
    ],
)
def test_variables_of_the_libraries_in_a_job_may_be_typed(resolve, name: str) -> None:
    assert resolve("MODEL=Mixtral-8x7B", f"{name}=typed").env[name] == "typed"


@pytest.mark.parametrize(("words", "value"), [("1 true yes on TRUE", True), ("0 false no off Off", False)])
def test_every_word_of_a_switch(resolve, words: str, value: bool) -> None:
    for word in words.split():
        assert resolve("MODEL=Mixtral-8x7B", f"FORCE_BALANCE={word}").settings["FORCE_BALANCE"] is value


def test_files_write_lists_and_switch_flags_off(resolve, tmp_path) -> None:
    yaml = tmp_path / "mine.yaml"
    yaml.write_text("MODEL_ARGS:\n  --recompute-modules: [moe_act, mlp]\n  --swiglu: false\n  --lr-warmup-iters: 3\n")
    conf = tmp_path / "cluster_configs/benchmarking/mine.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        "[cluster]\nDATASET = mock\nPRETRAIN = 1\n[env]\nWANDB_DIR = ${RUN_DIR}/w\n[megatron]\n--mock-data = false\n"
    )
    words = ("MODEL=Mixtral-8x7B", "CLUSTER=mine", "PROXY=none", "NUM_LAYERS=4", "PP=1", f"TRAINING_PARAMS_PATH={yaml}")
    resolved = resolve(*words)
    assert resolved.megatron_args["--recompute-modules"] == ("moe_act", "mlp")
    assert not {"--swiglu", "--mock-data"} & set(resolved.megatron_args.argv())
    assert resolved.env["WANDB_DIR"] == "${RUN_DIR}/w"


def test_a_flag_written_off_is_no_flag_to_the_rules(resolve, tmp_path) -> None:
    conf = tmp_path / "cluster_configs/benchmarking/mine.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[cluster]\nMEGATRON_PATH = /m\nDATASET = mock\nPRETRAIN = 1\n[megatron]\n--qk-layernorm = false\n")
    normed, plain = (resolve("MODEL=DeepSeek-V2-Lite", f"CLUSTER={name}").notices for name in ("template", "mine"))
    assert any("q norm" in notice for notice in normed)
    assert not any("q norm" in notice for notice in plain)


def test_device_auto_takes_the_gpus_there_are(resolve) -> None:
    cpu, one, four = (resolve("MODEL=DeepSeek-V3", gpus=gpus) for gpus in (0, 1, 4))
    assert (cpu.text("DEVICE"), cpu.integer("GPUS_PER_NODE"), cpu.integer("EP")) == ("cpu", 2, 2)
    assert (one.text("DEVICE"), one.integer("GPUS_PER_NODE"), one.integer("EP")) == ("gpu", 1, 1)
    assert (four.text("DEVICE"), four.integer("GPUS_PER_NODE"), four.integer("EP")) == ("gpu", 4, 2)
    assert "--distributed-backend" not in one.megatron_args


def test_a_proxy_adds_nothing_to_an_architecture(resolve) -> None:
    mixtral = resolve("MODEL=Mixtral-8x7B").megatron_args
    absent = {"--q-lora-rank", "--kv-lora-rank", "--moe-shared-expert-intermediate-size", "--moe-router-num-groups"}
    assert not absent & mixtral.keys()
    full, proxy = (resolve("MODEL=DeepSeek-V3", "PP=1", f"PROXY={name}").megatron_args for name in ("none", "laptop"))
    assert full.keys() == proxy.keys()


@pytest.mark.parametrize(("said", "nodes"), [("NNODES = 4\n", 4), ("", 1)])
def test_a_proxy_runs_on_the_nodes_of_the_cluster_and_else_on_its_own(resolve, tmp_path, said: str, nodes: int) -> None:
    conf = tmp_path / "cluster_configs/benchmarking/mine.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[cluster]\nDATASET = mock\nPRETRAIN = 1\nPROXY = laptop\n{said}")
    resolved = resolve("MODEL=DeepSeek-V3", "CLUSTER=mine")
    assert (resolved.integer("NNODES"), resolved.integer("NUM_LAYERS")) == (nodes, 4)
    assert resolve("MODEL=DeepSeek-V3", "CLUSTER=mine", "NNODES=2").integer("NNODES") == 2


@pytest.mark.parametrize("name", ["MY_SECRET_TOKEN", "WANDB_API_KEY"])
def test_no_secret_gets_into_the_jobs_environment(resolve, tmp_path, name: str) -> None:
    conf = tmp_path / "cluster_configs/benchmarking/mine.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[cluster]\nDATASET = mock\n[env]\nX = ${{{name}}}\n")
    with pytest.raises(ConfigError, match=r"mine.conf:4: X: .* is a secret"):
        resolve("MODEL=Mixtral-8x2B", "CLUSTER=mine", "PRETRAIN=1", environ={name: "supersecret"})


def test_paths_do_not_depend_on_where_a_rank_starts(resolve, tmp_path) -> None:
    words = ("DATA_PATH=0.5 a 0.5 b/c", "TOKENIZER_MODEL=./tok", "OUTPUT_PATH=~/runs", "LOAD_PATH=ckpt")
    resolved = resolve("MODEL=Mixtral-8x7B", *words, environ={"HOME": "/home/me"})
    flags = resolved.megatron_args
    assert flags["--data-path"] == ("0.5", f"{tmp_path}/a", "0.5", f"{tmp_path}/b/c")
    assert flags.text("--tokenizer-model") == f"{tmp_path}/tok"
    assert flags.text("--load") == f"{tmp_path}/ckpt"
    assert resolved.text("OUTPUT_PATH") == "/home/me/runs"
    assert resolve("MODEL=Mixtral-8x7B", "TOKENIZER_MODEL=org/name").text("TOKENIZER_MODEL") == "org/name"


def test_a_replaced_flag_keeps_its_losers(resolve) -> None:
    history = resolve("MODEL=DeepSeek-V3", "SEQ_LEN=8192", cluster="template").origins["--max-position-embeddings"]
    assert [entry.value for entry in history] == ["4096", "8192"]
