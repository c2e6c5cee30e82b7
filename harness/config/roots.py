"""Where configuration files are looked for: the user's folder first, then what ships with moe-harness."""

from pathlib import Path
from typing import NamedTuple

from harness.errors import ConfigError, nearest

KINDS = {
    "model": ("model_configs/benchmarking", ".yaml"),
    "proxy": ("model_configs/proxies", ".yaml"),
    "runtime": ("runtime_configs/benchmarking", ".conf"),
    "cluster": ("cluster_configs/benchmarking", ".conf"),
}

NAMED_BY = {"MODEL": "model", "CLUSTER": "cluster", "PROXY": "proxy"}
"""The settings that name a file, each with its kind."""

_LONGEST_NAME = 256  # no file system has longer ones, and some raise an error when asked


def shipped_root() -> Path:
    """The checkout this package runs from, or the folder that the wheel carries."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent
    return checkout if (checkout / "model_configs").is_dir() else package / "_configs"


class Roots(NamedTuple):
    """The folders searched, the first match wins; files are shown relative to `here` when below it."""

    here: Path
    shipped: Path

    @classmethod
    def standard(cls) -> "Roots":
        """The current folder, then the shipped one."""
        try:
            return cls(here=Path.cwd(), shipped=shipped_root())
        except FileNotFoundError:
            raise ConfigError("the current folder was deleted; change to another") from None

    def names(self, kind: str) -> list[str]:
        """Every name of a kind, e.g. the models."""
        folder, suffix = KINDS[kind]
        found = {
            path.stem
            for root in (self.here, self.shipped)
            for path in (root / folder).glob(f"*{suffix}")
            if path.is_file()
        }
        return sorted(found)

    def find(self, kind: str, name: str, *, setting: str) -> Path:
        """The file of a name. A name with a slash or the kind's suffix is a path."""
        folder, suffix = KINDS[kind]
        if "/" in name or name.endswith(suffix):
            return self.file(name, setting=setting)
        for root in (self.here, self.shipped):
            path = root / folder / f"{name}{suffix}"
            if len(path.name) < _LONGEST_NAME and path.is_file():
                return path
        raise ConfigError(f"{setting}={name}: no such {kind}; {nearest(name, self.names(kind))}")

    def file(self, name: str, *, setting: str) -> Path:
        """A path the user gave, which must be that of a file."""
        try:
            path = Path(name).expanduser()
            kind = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is not a file"
            if path.is_file():
                return path
        except (OSError, RuntimeError) as error:
            kind = f"is no path ({error})"
        raise ConfigError(f"{setting}={name}: {kind}; give the path of a file")

    def shown(self, path: Path) -> str:
        """How a file is named to the user."""
        for root in (self.here, self.shipped):
            try:
                return str(path.resolve().relative_to(root.resolve()))
            except ValueError:
                continue
        return str(path)
