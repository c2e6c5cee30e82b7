"""Check a job against the record of the converted checkpoint that it loads: problems and notices."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.arch.model import padded_vocab_size
from harness.checkpoint.network_flags import MTP
from harness.checkpoint.record import GROUP_SCORE, UNNORMED_QUERY, ConversionRecord, Limit, read_record
from harness.config.provenance import Resolved
from harness.config.releases import Catalogue, Release, load
from harness.launch.stored_flags import contradictions, counted_vocabulary, has

LAST_STACKED_LAYERS = Release(0, 12)
"""The last release that stores layers one by one only where `--moe-layer-freq` is a list (transformer_block.py)."""

LAST_EXACT_VOCABULARY = Release(0, 11)
"""The last release that loads an embedding only into one of as many rows."""


class LoadedCheckpoint(NamedTuple):
    """The folder with the weights that Megatron would load, and what its record says of them."""

    folder: Path
    record: ConversionRecord


def read_recorded(folder: Path) -> LoadedCheckpoint | None:
    """The weights in `folder` with their record; None without a record. ConfigError for one that cannot be read."""
    record = read_record(folder)
    return LoadedCheckpoint(folder=folder, record=record) if record else None


def problems_of(loaded: LoadedCheckpoint, resolved: Resolved) -> list[str]:
    """List the flags that make the job misread the weights, and why it cannot load them."""
    unloadable = (limit.text for limit in _limits(loaded.record, resolved) if limit.name == UNNORMED_QUERY)
    return [
        *contradictions(loaded.record.flags, loaded.folder, resolved),
        *_demands_of_old_releases(loaded, resolved),
        *(f"{resolved.at('LOAD_PATH')}{loaded.folder}: {text}" for text in unloadable),
    ]


def notices_of(loaded: LoadedCheckpoint, resolved: Resolved) -> list[str]:
    """List what is worth knowing of weights that can be loaded."""
    texts = [limit.text for limit in _limits(loaded.record, resolved) if limit.name != UNNORMED_QUERY]
    if has(MTP, loaded.record.flags) and not has(MTP, resolved.megatron_args) and _catalogue(resolved).option(MTP):
        texts.append(f"its multi-token prediction is left aside, for the job has no {MTP}")
    return [f"{loaded.folder}: {text}" for text in texts]


def _demands_of_old_releases(loaded: LoadedCheckpoint, resolved: Resolved) -> Iterator[str]:
    """List the problems that only older releases have with a checkpoint."""
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
