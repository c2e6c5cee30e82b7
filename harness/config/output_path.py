"""OUTPUT_PATH without a model: the verbs that read runs resolve none."""

from collections.abc import Mapping
from pathlib import Path

from harness.config.conf_file import read_conf
from harness.config.interpolate import Unset, Variables
from harness.config.provenance import Entry
from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.disk import expanded
from harness.errors import ConfigError

_NAME = "OUTPUT_PATH"
_LAPTOP = "laptop"


def find_output_path(environ: Mapping[str, str], roots: Roots) -> Path:
    """Where runs get their folders: as exported, else as the conf of an exported CLUSTER and common.conf say.

    ConfigError where the conf cannot be read, or what it says depends on a model.
    """
    if exported := environ.get(_NAME):
        return expanded(exported)
    files = (("runtime", "common", "common"), ("cluster", environ.get("CLUSTER") or _LAPTOP, "cluster"))
    entries: dict[str, Entry] = {}
    for kind, name, section in files:
        path = roots.find(kind, name, setting="CLUSTER")
        entries |= read_conf(path, shown=roots.shown(path), layer=kind).layer(section).settings
    if _NAME not in entries:
        return Path(str(SETTINGS[_NAME].default))
    raw = {name: (str(entry.value or ""), True) for name, entry in entries.items()}
    try:
        return expanded(Variables(raw, environ)(_NAME) or "")
    except Unset as unset:
        raise ConfigError(f"{entries[_NAME].origin}: {_NAME}: {unset}; or name the folder by --output-path") from None
