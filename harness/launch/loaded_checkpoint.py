"""The converted checkpoint that a job starts from: why it cannot load it, and what is worth knowing of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.arch.model import padded_vocab_size
from harness.checkpoint.files import TRACKER
from harness.checkpoint.folder import read_tracker, tracked_folder
from harness.checkpoint.network_flags import MTP
from harness.checkpoint.record import GROUP_SCORE, UNNORMED_QUERY, ConversionRecord, Limit, read_record
from harness.config.provenance import Resolved
from harness.config.releases import Catalogue, Release, load
from harness.errors import ConfigError
from harness.launch.job import Job
from harness.launch.script.quoting import RUN_DIR
from harness.launch.stored_flags import contradictions, counted_vocabulary, has

LAST_STACKED_LAYERS = Release(0, 12)
"""Up to here layers are kept apart in a checkpoint only where `--moe-layer-freq` is a list (transformer_block.py)."""

LAST_EXACT_VOCABULARY = Release(0, 11)
"""Up to here an embedding is loaded only into one of as many rows."""


class LoadedCheckpoint(NamedTuple):
    """The folder with the weights that Megatron would load, and what its record says of them."""

    folder: Path
    record: ConversionRecord


def checkpoint_problems(resolved: Resolved, job: Job) -> list[str]:
    """Every flag with which the job would misread its checkpoint, and why it cannot load it; empty without a record."""
    where = resolved.at("LOAD_PATH")
    try:
        loaded = _loaded(resolved, job)
    except ConfigError as error:
        return [f"{where}LOAD_PATH: {error}"]
    if loaded is None:
        return []
    unloadable = (limit.text for limit in _limits(loaded.record, resolved) if limit.name == UNNORMED_QUERY)
    return [
        *contradictions(loaded.record.flags, loaded.folder, resolved),
        *_demands_of_old_releases(loaded, resolved),
        *(f"{where}{loaded.folder}: {text}" for text in unloadable),
    ]


def checkpoint_notices(resolved: Resolved, job: Job) -> list[str]:
    """What is worth knowing of a checkpoint that can be loaded, or that this machine cannot see."""
    try:
        loaded = _loaded(resolved, job)
    except ConfigError:
        return []
    if loaded is None:
        return _unseen(resolved, job)
    texts = [limit.text for limit in _limits(loaded.record, resolved) if limit.name != UNNORMED_QUERY]
    if has(MTP, loaded.record.flags) and not has(MTP, resolved.megatron_args) and _catalogue(resolved).option(MTP):
        texts.append(f"its multi-token prediction is left aside, for the job has no {MTP}")
    return [f"{loaded.folder}: {text}" for text in texts]


def _demands_of_old_releases(loaded: LoadedCheckpoint, resolved: Resolved) -> Iterator[str]:
    """Problems that only older releases have with a checkpoint."""
    catalogue, asked = _catalogue(resolved), counted_vocabulary(resolved)
    release, folder, record = f"Megatron {catalogue.release}", loaded.folder, loaded.record
    pattern = record.flags.text("--moe-layer-freq")
    if catalogue.release <= LAST_STACKED_LAYERS and pattern and "[" not in asked.text("--moe-layer-freq"):
        yield (
            f"{resolved.at('--moe-layer-freq')}{release} finds the layers of the checkpoint in {folder}"
            f" only where --moe-layer-freq is a list; write --moe-layer-freq '{pattern}'"
        )
    there, wanted = record.vocabulary_rows, padded_vocab_size(asked)
    if catalogue.release <= LAST_EXACT_VOCABULARY and there and there != wanted:
        tp = asked.integer("--tensor-model-parallel-size", 1)
        yield (
            f"{resolved.at('LOAD_PATH')}{release} pads the vocabulary to {wanted} rows here, and loads no embedding of"
            f" {there}, as the checkpoint in {folder} has; convert it for this release and mapping:"
            f" --exact --target-release {catalogue.release} --tp {tp}"
        )


def _loaded(resolved: Resolved, job: Job) -> LoadedCheckpoint | None:
    """What the job starts from, if this machine sees it and it has a record.

    ConfigError says what is wrong with a tracker or a record that is there.
    """
    load = _folder(resolved, job)
    tracked = read_tracker(load) if load else None
    if load is None or tracked is None:
        return None
    if (name := tracked_folder(tracked)) is None:
        raise ConfigError(f"{TRACKER} says {tracked!r}, so Megatron would load nothing; allowed: release, or a step")
    record = read_record(load / name)
    return LoadedCheckpoint(folder=load / name, record=record) if record else None


def _folder(resolved: Resolved, job: Job) -> Path | None:
    """`--load` as this machine names it; None without one, for the run's own, and for one in the image."""
    load_path = resolved.megatron_args.text("--load")
    return job.host_path(load_path) if load_path and RUN_DIR not in load_path else None


def _unseen(resolved: Resolved, job: Job) -> list[str]:
    """Slurm's nodes may see more than this machine; what is missing elsewhere is a problem, not a notice."""
    load_path = resolved.megatron_args.text("--load")
    folder = _folder(resolved, job)
    if job.executor != "slurm" or not load_path or RUN_DIR in load_path or (folder and folder.exists()):
        return []
    return [f"{load_path} is not to be seen from here: whether the flags fit the checkpoint was not checked"]


def _limits(record: ConversionRecord, resolved: Resolved) -> list[Limit]:
    """The limits that this job meets."""
    lifted = set()
    if resolved.embedded:
        lifted.add(UNNORMED_QUERY)
        lifted |= {GROUP_SCORE} if resolved.text("GROUP_SCORE") == "max" else set()
    release = str(_catalogue(resolved).release)
    return [limit for limit in record.limits if release in limit.releases and limit.name not in lifted]


def _catalogue(resolved: Resolved) -> Catalogue:
    return load(resolved.text("MCORE_RELEASE_VERSION"))
