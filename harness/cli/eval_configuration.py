"""The configuration of an evaluation: the network of the checkpoint, and the user's settings for everything else."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from harness.arch.parallel import parallel, world_size
from harness.checkpoint.network_flags import NETWORK
from harness.cli import request
from harness.cli.eval_subject import Subject
from harness.config.arguments import parse_arguments
from harness.config.checkpoint_configuration import checkpoint_layer, read_checkpoint_configuration
from harness.config.conf_files import ConfFiles
from harness.config.configuration import Configuration
from harness.config.layers import Layer
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.config.release import EMBEDDED_RELEASE
from harness.config.roots import Roots
from harness.disk import expanded
from harness.errors import ConfigError
from harness.evaluation.flags import least_ranks
from harness.launch.executor import Executor
from harness.launch.stored_flags import contradictions
from harness.runs.resolved_file import read_resolved

_FIXED = {
    "MCORE_RELEASE_VERSION": str(EMBEDDED_RELEASE),
    "MEGATRON_PATH": "",
    "DATASET": "mock",
    "PRETRAIN": "1",
    "WANDB_MODE": "disabled",
    "PROFILE": "0",
}
"""The embedded engine evaluates. Tokens and weights it reads by itself, and results go to no tracker."""

_NO_SAY = "has no say in an evaluation, which the embedded engine runs on the data that --val-data names"


def evaluation_configuration(
    ctx: click.Context,
    typed: Sequence[str],
    executor: Executor,
    subject: Subject,
    *,
    config_file: str | None,
    ngpu: int | None,
) -> Resolved:
    """Resolve what the user typed over the checkpoint's network. ConfigError for what contradicts it.

    The number of ranks is the mapping's, unless NGPU says another.
    """
    given = parse_arguments(typed)
    if problems := [f"command line: {name}: {_NO_SAY}; leave it out" for name in given if name in _FIXED]:
        raise ConfigError(problems)
    words = {**given, **_FIXED}
    proxy = subject.trained.text("PROXY") if subject.trained else ""
    claimed = _claimed(ctx, {"PROXY": proxy or "none", **words}, executor, config_file)
    network = _network(subject, claimed)
    arguments = [f"{name}={value}" for name, value in words.items()]
    asked = request.request_of(ctx, arguments, executor)
    configuration = read_checkpoint_configuration(asked, ConfFiles(Roots.standard()), network)
    resolved = configuration.resolved(_ranks(configuration, executor, ngpu))
    if subject.network:
        folder = subject.checkpoints[0].folder
        claims = [resolved, *([claimed] if claimed else [])]
        found = [text for claim in claims for text in contradictions(subject.network.flags, folder, claim)]
        found += _setting_contradictions(subject, resolved)
        if found:
            raise ConfigError(tuple(dict.fromkeys([*found, *_of_claim(words, config_file, folder)])))
    return resolved


def _setting_contradictions(subject: Subject, resolved: Resolved) -> list[str]:
    """Settings of the network's layers that were typed: its flags are the checkpoint's, whatever they say."""
    folder, layers = subject.checkpoints[0].folder, subject.settings()["NUM_LAYERS"]
    found = []
    if resolved.integer("NUM_LAYERS") != layers:
        at = resolved.at("NUM_LAYERS")
        found.append(
            f"{at}NUM_LAYERS={resolved.integer('NUM_LAYERS')}: the checkpoint in {folder} needs NUM_LAYERS={layers};"
            " leave it out"
        )
    if _is_typed(resolved, "DENSE_LAYERS"):
        at = resolved.at("DENSE_LAYERS")
        found.append(f"{at}DENSE_LAYERS: the checkpoint in {folder} says which layers are dense; leave it out")
    return found


def _of_claim(words: Mapping[str, str], config_file: str | None, folder: Path) -> list[str]:
    """The shortest way out where the user said which network it is."""
    model = words.get("MODEL") or os.environ.get("MODEL")
    said = f"CONFIG_FILE={config_file}" if config_file else f"MODEL={model}" if model else None
    return [f"{folder} says by itself what its network is: leave {said} out to evaluate it as it is"] if said else []


def _network(subject: Subject, claimed: Resolved | None) -> Layer:
    """The lowest layer: what the checkpoint says, or what MODEL or CONFIG_FILE says where it cannot be seen."""
    folder = subject.checkpoints[0].folder
    if subject.network:
        flags, settings = subject.network.flags, {"MODEL": subject.model, **subject.settings()}
        flags = MegatronArgs({flag: value for flag, value in flags.items() if flag != "--vocab-size"})
        return checkpoint_layer(flags, settings, str(folder))
    if claimed is None:
        raise ConfigError(
            f"{folder} is not to be seen from here, so its network is not known; say which it is: MODEL=NAME, or"
            " --config-file FILE"
        )
    flags = MegatronArgs({flag: value for flag, value in claimed.megatron_args.items() if flag in NETWORK})
    names = ("MODEL", "NUM_LAYERS", "VOCAB_SIZE", "DENSE_LAYERS", "TP", "PP", "EP", "ETP", "PP_FIRST", "PP_LAST")
    settings = {name: claimed.settings.get(name) for name in (*names, "GROUP_SCORE", "TOKENIZER_MODEL", "SEQ_LEN")}
    return checkpoint_layer(flags, settings, str(folder))


def _claimed(
    ctx: click.Context, words: Mapping[str, str], executor: Executor, config_file: str | None
) -> Resolved | None:
    """The configuration that MODEL or CONFIG_FILE names, which the checkpoint must agree with; None without either."""
    if config_file and config_file.endswith(".json"):
        return read_resolved(expanded(config_file))
    own = {}
    if config_file:
        own = {"TRAINING_PARAMS_PATH": config_file, "MODEL": words.get("MODEL") or Path(config_file).stem}
    elif not (words.get("MODEL") or os.environ.get("MODEL")):
        return None
    given = [f"{name}={value}" for name, value in {**words, **own}.items()]
    return request.configuration(ctx, given, executor).resolved()


def _ranks(configuration: Configuration, executor: Executor, ngpu: int | None) -> dict[str, str]:
    """Settings that give the job as many ranks as NGPU says, or else as the mapping needs."""
    resolved = configuration.resolved()
    least = least_ranks(parallel(resolved.megatron_args, world_size(resolved)))
    on_cpu = {"DEVICE": "cpu"} if ngpu == 0 else {}
    chosen = {name for name in ("NNODES", "GPUS_PER_NODE", "GPUS") if _is_typed(resolved, name)}
    if not ngpu and chosen:
        return on_cpu
    wanted = ngpu or least
    a_node = resolved.integer("GPUS_PER_NODE", 1)
    if executor != "slurm" or wanted <= a_node:
        ranks = wanted if ngpu or executor != "slurm" or a_node % least else a_node
        return {**on_cpu, "NNODES": "1", "GPUS_PER_NODE": str(ranks)}
    return {**on_cpu, "NNODES": str(-(-wanted // a_node)), "GPUS_PER_NODE": str(a_node)}


def _is_typed(resolved: Resolved, name: str) -> bool:
    origin = resolved.origin(name)
    return origin is not None and origin.layer in ("environment", "command line")
