"""The `resolved.json` of a run's folder, read back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.flags import parsed_args
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Entry, Origin, Resolved, SettingValue
from harness.config.releases import load
from harness.errors import ConfigError
from harness.runs.json_codec import Mismatch, decode


@dataclass(frozen=True, kw_only=True)
class _Written:
    """What one layer wrote, and where."""

    value: SettingValue | ArgValue
    layer: str
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class _ResolvedDocument:
    """The form of the file, which `launch/run_inputs.py` writes; what else it holds is passed over."""

    settings: Mapping[str, SettingValue]
    argv: tuple[str, ...]
    env: Mapping[str, str]
    origins: Mapping[str, tuple[_Written, ...]] = field(default_factory=dict)


def read_resolved(path: Path) -> Resolved:
    """The configuration that a run was started with, but for secrets. ConfigError where the file is none."""
    try:
        document: _ResolvedDocument = decode(_ResolvedDocument, json.loads(path.read_text(encoding="utf-8")))
        flags = parsed_args(document.argv, load(str(document.settings.get("MCORE_RELEASE_VERSION"))), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; give a model YAML or a resolved.json") from None
    except (ValueError, RecursionError, Mismatch, ConfigError) as error:
        raise ConfigError(f"{path}: not a resolved.json of moe-harness ({error}); give one, or a model YAML") from None
    return Resolved(
        settings=document.settings,
        megatron_args=flags,
        env=document.env,
        origins={name: tuple(_entry(one) for one in history) for name, history in document.origins.items()},
    )


def _entry(written: _Written) -> Entry:
    return Entry(value=written.value, origin=Origin(layer=written.layer, path=written.path, line=written.line))
