"""The settings a user may write, their types and their built-in defaults."""

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from harness.config.provenance import SettingValue
from harness.config.release import EMBEDDED_RELEASE

type SettingKind = Literal["text", "path", "name", "int", "number", "switch", "time", "version"]

_TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")
_VERSION = re.compile(r"\d+\.\d+(\.\w+)*")
LEAST_NUMBER, MOST_NUMBER = 1e-3, 1e9
"""Beyond these no unit of a setting has a meaning, and what is computed of it may not be finite."""
_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class Setting(NamedTuple):
    """One name a user may set in any layer: `NAME=VALUE`.

    A `name` is a path where it begins with `./`, `../` or `~/`, and else a name on a hub or a URI.
    """

    name: str
    help: str
    kind: SettingKind = "text"
    default: SettingValue = None
    choices: tuple[str, ...] = ()
    least: int = 1
    most: int = 10**8

    def parse(self, raw: str) -> SettingValue:
        """The typed value of what was written; an empty string unsets. ValueError says what is allowed."""
        if raw == "":
            return None
        if self.kind == "int":
            return self._parse_int(raw)
        if self.kind == "number":
            return self._parse_number(raw)
        if self.kind == "switch":
            return self._parse_switch(raw)
        if self.kind == "time" and not (_TIME.fullmatch(raw) and re.search("[1-9]", raw)):
            raise ValueError("a time above zero such as 00:20:00 (hours:minutes:seconds) or 1-12:00:00")
        if self.kind == "version" and not _VERSION.fullmatch(raw):
            raise ValueError("a version such as 2.8")
        if self.choices and raw not in self.choices:
            raise ValueError(" | ".join(self.choices))
        if "\n" in raw or "\0" in raw:
            raise ValueError("text on one line")
        return raw

    def mistake(self, raw: str) -> str | None:
        """What is wrong with what was written, and what is allowed; None if nothing is."""
        try:
            self.parse(raw)
        except ValueError as allowed:
            return f"{self.name}={raw!r} is not allowed; allowed here: {allowed}"
        return None

    def _parse_int(self, raw: str) -> int:
        allowed = f"a whole number from {self.least} to {self.most}"
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(allowed) from None
        if not self.least <= value <= self.most:
            raise ValueError(allowed)
        return value

    @staticmethod
    def _parse_number(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not LEAST_NUMBER <= value <= MOST_NUMBER:  # NaN fails every comparison
            raise ValueError(f"a number from {LEAST_NUMBER:g} to {MOST_NUMBER:g}")
        return value

    @staticmethod
    def _parse_switch(raw: str) -> bool:
        try:
            return _SWITCHES[raw.lower()]
        except KeyError:
            raise ValueError("1 | 0 | true | false") from None


def _table(*settings: Setting) -> Mapping[str, Setting]:
    return {setting.name: setting for setting in settings}


SETTINGS: Mapping[str, Setting] = _table(
    # What to run
    Setting(name="MODEL", help="a model of model_configs/benchmarking, e.g. DeepSeek-V3"),
    Setting(name="CLUSTER", default="laptop", help="a conf of cluster_configs/benchmarking, or a path to one"),
    Setting(name="PROXY", help="scale the model down to a machine: laptop, or none for the full model"),
    Setting(name="TRAINING_PARAMS_PATH", kind="path", help="a model YAML of your own, in place of MODEL's"),
    Setting(
        name="MCORE_RELEASE_VERSION",
        default=str(EMBEDDED_RELEASE),
        help="the Megatron-Core release that will parse the flags",
    ),
    Setting(name="MEGATRON_PATH", kind="path", help="a Megatron-LM checkout; unset: the embedded engine trains"),
    Setting(name="COMMENT", help="a word of your own in the experiment's name"),
    Setting(name="DRY_RUN", kind="switch", default=False, help="print what would be submitted or run, and stop"),
    # The mapping
    Setting(name="TP", kind="int", default=1, help="tensor parallel size"),
    Setting(name="PP", kind="int", default=1, help="pipeline parallel size"),
    Setting(name="EP", kind="int", default=1, help="expert parallel size"),
    Setting(name="CP", kind="int", default=1, help="context parallel size"),
    Setting(name="ETP", kind="int", default=1, help="expert tensor parallel size"),
    Setting(name="VPP", kind="int", default=1, help="virtual pipeline stages a pipeline rank"),
    Setting(name="PP_FIRST", kind="int", help="layers on the first pipeline stage, when uneven"),
    Setting(name="PP_LAST", kind="int", help="layers on the last pipeline stage, when uneven"),
    Setting(
        name="PP_LAYOUT",
        help="--pipeline-model-parallel-layout, e.g. 'Et|tt|tmL'; replaces PP_FIRST, PP_LAST, VPP",
    ),
    Setting(name="LAYERS_PER_VP", kind="int", help="layers a virtual stage: another way to say VPP"),
    Setting(name="MBS", kind="int", default=1, help="micro-batch size"),
    Setting(name="GBS", kind="int", default=1, help="global batch size, in sequences"),
    Setting(name="NUM_LAYERS", kind="int", most=10_000, help="transformer layers"),
    Setting(name="DENSE_LAYERS", kind="int", least=0, help="dense layers before the first MoE layer"),
    Setting(name="VOCAB_SIZE", kind="int", help="the tokenizer's vocabulary, as the model's own config states it"),
    Setting(name="SEQ_LEN", kind="int", default=4096, help="sequence length, in tokens"),
    Setting(name="LR", help="peak learning rate, from scratch"),
    Setting(name="LR_FROM_CHECKPOINT", help="peak learning rate when starting from a checkpoint; unset: LR"),
    Setting(name="TRAIN_ITERS", kind="int", default=50, help="training steps of the benchmark"),
    # Mixture of Experts
    Setting(
        name="MOE_TOKEN_DISPATCHER",
        choices=("allgather", "alltoall", "flex", "deepep", "hybridep"),
        default="alltoall",
        help="token dispatcher; deepep and hybridep are flex with that backend",
    ),
    Setting(
        name="FLEX_BACKEND", choices=("deepep", "hybridep"), default="deepep", help="backend of the flex dispatcher"
    ),
    Setting(name="MOE_GROUPED_GEMM", kind="switch", default=True, help="one grouped GEMM for a rank's experts"),
    Setting(name="FORCE_BALANCE", kind="switch", default=False, help="route tokens evenly whatever the router says"),
    Setting(
        name="GROUP_SCORE",
        choices=("sum", "max"),
        default="sum",
        help="how groups of experts are scored; sum: Megatron's way, max: DeepSeek-V2's (embedded engine)",
    ),
    # Precision and speed
    Setting(name="PR", choices=("bf16", "fp8", "mxfp8", "fp32"), default="bf16", help="precision"),
    Setting(
        name="TE_VERSION",
        kind="version",
        default="2.8",
        help="Transformer Engine in the container; decides what can be fused",
    ),
    Setting(
        name="PERMUTE_FUSION",
        kind="switch",
        default=True,
        help="fuse token permutation (Transformer Engine 2.1 or newer)",
    ),
    Setting(
        name="TP_COMM_OVERLAP",
        kind="switch",
        default=False,
        help="overlap TP communication with GEMMs (Transformer Engine built with UserBuffers)",
    ),
    Setting(name="A2A_OVERLAP", kind="switch", default=False, help="overlap the experts' all-to-all with computation"),
    Setting(name="OPTIMIZER_OFFLOAD", kind="switch", default=False, help="optimizer states and step on the CPU"),
    Setting(
        name="PROFILE",
        choices=("0", "1", "nsys", "torch"),
        default="0",
        help="1 or nsys: Nsight Systems; torch: PyTorch",
    ),
    # The machine
    Setting(name="DEVICE", choices=("gpu", "cpu", "auto"), default="gpu", help="auto: GPUs if this machine has any"),
    Setting(name="GPUS", kind="int", help="GPUs of the job in all: another way to say NNODES"),
    Setting(name="NNODES", kind="int", default=1, help="nodes"),
    Setting(name="GPUS_PER_NODE", kind="int", default=8, help="ranks a node"),
    Setting(name="GPU", help="the GPU's name, e.g. H100: what memory and speed are predicted for"),
    Setting(name="HBM_GB", kind="number", help="memory of a GPU, where it is not the data sheet's"),
    Setting(name="HBM_TB_S", kind="number", help="bandwidth of that memory, in TB/s"),
    Setting(name="BF16_TFLOPS", kind="number", help="dense bf16 peak of a GPU"),
    Setting(name="FP8_TFLOPS", kind="number", help="dense fp8 peak of a GPU"),
    Setting(name="FP4_TFLOPS", kind="number", help="dense fp4 peak of a GPU"),
    Setting(name="NVLINK_DOMAIN", kind="int", help="GPUs that NVLink joins"),
    Setting(name="NVLINK_GB_S", kind="number", help="NVLink bandwidth of a GPU, one way, in GB/s"),
    Setting(name="NIC_GB_S", kind="number", help="network bandwidth of a GPU, one way, in GB/s"),
    Setting(name="RUN_TIME", kind="time", default="00:20:00", help="the job's time limit"),
    Setting(name="ACCOUNT", help="Slurm account"),
    Setting(name="PARTITION", help="Slurm partition"),
    Setting(name="RUN_NAME", help="name of the job"),
    Setting(name="SBATCH_ARGS", help="more options for sbatch, as one would type them"),
    Setting(name="SRUN_ARGS", help="more options for srun, e.g. --mpi=pmix or --cpu-bind=none"),
    Setting(name="RETRIES", kind="int", least=0, most=100, default=0, help="restarts after a fault that passes"),
    Setting(name="REPEATS", kind="int", most=100, default=1, help="runs of the same, to tell noise by (launch, sweep)"),
    Setting(name="SUBMIT_WAIT", kind="switch", default=False, help="follow a submitted job until it has ended"),
    Setting(
        name="CONTAINER_RUNTIME",
        choices=("pyxis", "enroot", "none"),
        default="pyxis",
        help="who starts the container: srun by pyxis, enroot inside each task; none: the bare nodes",
    ),
    Setting(name="CONTAINER_IMAGE", kind="name", help="a .sqsh file or an image URI"),
    Setting(name="CONTAINER_MOUNTS", help="SRC:DST[:ro],…"),
    # Data, checkpoints, tracking
    Setting(
        name="PRETRAIN",
        choices=("0", "1", "auto"),
        default="auto",
        help="1: from scratch; 0: from LOAD_PATH; auto: from LOAD_PATH if it is set",
    ),
    Setting(name="DATASET", default="mock", help="mock, sample, or a name with a DATA_PATH in the cluster conf"),
    Setting(name="OUTPUT_PATH", kind="path", default="runs", help="where every run gets a folder of its own"),
    Setting(name="DATA_PATH", help="Megatron data prefixes (no .bin/.idx), or 'weight prefix …'"),
    Setting(name="TOKENIZER_MODEL", kind="name", help="a tokenizer: a folder or a name on the Hub"),
    Setting(name="LOAD_PATH", kind="path", help="the checkpoint to start from"),
    Setting(name="SAVE_INTERVAL", kind="int", help="save every n steps; unset: a benchmark saves nothing"),
    Setting(name="WANDB_PROJECT", help="Weights & Biases project"),
    Setting(
        name="WANDB_MODE",
        choices=("online", "offline", "disabled"),
        help="unset: online with a WANDB_API_KEY, else disabled",
    ),
)
