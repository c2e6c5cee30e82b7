"""A campaign's manifest: what it is to run, kept in `OUTPUT_PATH/sweeps/NAME/sweep.json`.

Which item has which run is not in it: the runs' own records tell.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.provenance import Resolved
from harness.config.secrets import is_secret, scrub, secret_values
from harness.disk import write_whole
from harness.errors import ConfigError
from harness.launch.rundir import output_problem
from harness.runs.json_codec import Mismatch, decode, encode

FOLDER = "sweeps"
FILE_NAME = "sweep.json"
SCHEMA_VERSION = 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NOT_OF_THE_JOB = ("DRY_RUN", "SUBMIT_WAIT", "REPEATS")


@dataclass(frozen=True, kw_only=True)
class ManifestItem:
    """An item and what is its own of settings, flags and environment; None where it could not be resolved."""

    name: str
    own: Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class CampaignManifest:
    """What a campaign is to run: by which executor (`place`), with what options of sbatch, and its items (`points`).

    `common` holds what all items share. The fields are the names in the file.
    """

    schema_version: int = SCHEMA_VERSION
    place: str
    options: tuple[str, ...] = ()
    common: Mapping[str, str]
    points: tuple[ManifestItem, ...]

    def content(self) -> dict[str, Mapping[str, str] | None]:
        """All settings, flags and environment of each item, by its name."""
        return {it.name: None if it.own is None else {**self.common, **it.own} for it in self.points}


def manifest_of(
    executor: str, resolved: Mapping[str, Resolved | None], options: Sequence[str] = ()
) -> CampaignManifest:
    """Build the manifest of items by name; a secret in them is not written down."""
    contents = {name: None if it is None else _content(it) for name, it in resolved.items()}
    known = [set(content.items()) for content in contents.values() if content is not None]
    common = dict(sorted(set.intersection(*known))) if known else {}
    own = {
        name: None if content is None else {key: value for key, value in content.items() if key not in common}
        for name, content in contents.items()
    }
    items = tuple(ManifestItem(name=name, own=rest) for name, rest in own.items())
    return CampaignManifest(place=executor, options=tuple(options), common=common, points=items)


def derived_name(manifest: CampaignManifest, varied: Sequence[str]) -> str:
    """`DeepSeek-V2-Lite-EP-MBS-1a2b3c4d`: the same manifest has the same name, another one another.

    `varied` are the names of the values that differ from item to item.
    """
    text = json.dumps([manifest.place, *manifest.options, manifest.content()], sort_keys=True)
    names = (*([] if "MODEL" in varied else [manifest.common.get("MODEL", "sweep")]), *varied)
    return f"{'-'.join(names)[:50]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


def campaign_folder(root: Path, name: str) -> Path:
    """The folder of a campaign's manifest and lock. ConfigError if the name cannot be a folder's.

    A run has its record in its folder, so a campaign's folder is never taken for a run's.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name {name!r} cannot name a folder; allowed: up to 64 letters, digits, '_', '.' and '-',"
            " beginning with a letter or digit"
        )
    return root.absolute() / FOLDER / name


def save_manifest(folder: Path, manifest: CampaignManifest) -> None:
    """Write the manifest into the campaign's folder. EnvironmentProblem says why it cannot be written."""
    try:
        write_whole(folder / FILE_NAME, json.dumps(encode(manifest), indent=1) + "\n")
    except OSError as error:
        raise output_problem(folder.parent.parent, error) from error


def load_manifest(folder: Path) -> CampaignManifest | None:
    """Read the manifest in a campaign's folder; None where there is none. ConfigError if it cannot be read."""
    path = folder / FILE_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("schema_version") != SCHEMA_VERSION:
            raise Mismatch(f"schema_version {document.get('schema_version')}, not {SCHEMA_VERSION}")
        manifest: CampaignManifest = decode(CampaignManifest, document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: no plan of a sweep that can be read ({error}); give another --name:"
            " `moe-harness runs list --sweep` shows what this one has run"
        ) from None
    return manifest


def _content(resolved: Resolved) -> dict[str, str]:
    settings = {name: _text(value) for name, value in resolved.settings.items() if value is not None}
    flags = {name: _text(value) for name, value in resolved.megatron_args.items()}
    merged = {**settings, **flags, **resolved.env}
    kept = {name: text for name, text in merged.items() if name not in _NOT_OF_THE_JOB and not is_secret(name)}
    scrubbed: dict[str, str] = scrub(kept, secret_values(os.environ, resolved.env))
    return scrubbed


def _text(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
