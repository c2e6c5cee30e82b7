"""The settings of a cluster without a model."""

from pathlib import Path

import pytest

from harness.config.cluster import resolve_cluster
from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots
from harness.errors import ConfigError

CONF = """[cluster]
ACCOUNT = research
PARTITION = ${USER}-gpus
RUN_NAME = ${MODEL}-benchmarking
OUTPUT_PATH = runs/${PARTITION}
NNODES = 4
[env]
NCCL_DEBUG = INFO
[LOAD_PATH]
DeepSeek-V3 = /ckpt
"""


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A user's folder with a cluster conf of their own, before what ships."""
    (tmp_path / "cluster_configs/benchmarking").mkdir(parents=True)
    return Roots(here=tmp_path, shipped=Roots.standard().shipped)


def cluster(roots: Roots, text: str, *arguments: str, needed: tuple[str, ...] = (), **environ: str) -> Resolved:
    (roots.here / "cluster_configs/benchmarking/mine.conf").write_text(text)
    request = Request(arguments=arguments, environ={"CLUSTER": "mine", "USER": "ann", **environ})
    return resolve_cluster(request, roots, needed=needed)


def test_the_layers_of_a_cluster(roots: Roots) -> None:
    found = cluster(roots, CONF, "NNODES=2", ACCOUNT="other", needed=("OUTPUT_PATH", "ACCOUNT", "PARTITION"))
    assert (found.text("CLUSTER"), found.text("ACCOUNT"), found.text("PARTITION")) == ("mine", "other", "ann-gpus")
    assert (found.integer("NNODES"), found.integer("GPUS_PER_NODE")) == (2, 8)
    assert found.text("OUTPUT_PATH") == f"{roots.here}/runs/ann-gpus"
    assert found.at("ACCOUNT") == "environment: "
    assert str(found.origins["ACCOUNT"][0].origin) == "cluster_configs/benchmarking/mine.conf:2"
    assert (len(found.megatron_args), dict(found.env), found.notices) == (0, {}, ())


def test_what_only_a_training_has(roots: Roots) -> None:
    assert not cluster(roots, CONF).has("RUN_NAME")
    with pytest.raises(ConfigError, match=r"mine.conf:4: RUN_NAME: \$\{MODEL\} has no value"):
        cluster(roots, CONF, needed=("RUN_NAME",))
    assert cluster(roots, CONF, needed=("RUN_NAME",), MODEL="any").text("RUN_NAME") == "any-benchmarking"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[cluster]\nACOUNT = a\n", "mine.conf:2: unknown setting ACOUNT; did you mean ACCOUNT"),
        ("[cluster]\nNNODES = many\n", "mine.conf:2: NNODES='many' is not allowed"),
        ("[clutser]\nNNODES = 1\n", r"mine.conf:1: unknown section \[clutser\]"),
        ("[LOAD_PATH]\nDeepSeek = /x\n", r"mine.conf:2: \[LOAD_PATH\] DeepSeek: no such model"),
        ("[cluster]\nMODEL = Mixtral-8x7B\n", "mine.conf:2: MODEL decides which files are read"),
        ("[cluster]\nHF_TOKEN = x\n", "mine.conf:2: HF_TOKEN is a secret"),
    ],
)
def test_mistakes_in_the_conf(roots: Roots, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        cluster(roots, text)


def test_mistakes_of_the_user(roots: Roots) -> None:
    with pytest.raises(ConfigError, match="unknown setting ACOUNT"):
        cluster(roots, CONF, "ACOUNT=a")
    with pytest.raises(ConfigError, match="environment: NNODES='0' is not allowed"):
        cluster(roots, CONF, NNODES="0")
    with pytest.raises(ConfigError, match="CLUSTER=mien: no such cluster; did you mean mine"):
        cluster(roots, CONF, CLUSTER="mien")


def test_a_template_that_is_not_filled_in(roots: Roots) -> None:
    found = resolve_cluster(Request(default_cluster="template"), roots)
    assert found.text("ACCOUNT").startswith("YOUR_")
    (notice,) = found.notices
    assert notice.startswith("cluster_configs/benchmarking/template.conf is not filled in: ACCOUNT, PARTITION")
