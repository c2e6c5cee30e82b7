"""Where configuration files are looked for: the user's folder first, then what ships with moe-harness."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, nearest

KINDS = {
    "model": ("model_configs/benchmarking", ".yaml"),
    "proxy": ("model_configs/proxies", ".yaml"),
    "runtime": ("runtime_configs/benchmarking", ".conf"),
    "cluster": ("cluster_configs/benchmarking", ".conf"),
}


def shipped_root() -> Path:
    """The checkout this package runs from, or the folder that the wheel carries."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent
    return checkout if (checkout / "model_configs").is_dir() else package / "_configs"


@dataclass(frozen=True, kw_only=True)
class Roots:
    """The folders searched, the first match wins; files are shown relative to `here` when below it."""

    here: Path
    shipped: Path

    @classmethod
    def standard(cls) -> "Roots":
        """The current folder, then the shipped one."""
        return cls(here=Path.cwd(), shipped=shipped_root())

    def names(self, kind: str) -> list[str]:
        """Every name of a kind, e.g. the models."""
        folder, suffix = KINDS[kind]
        found = {path.stem for root in (self.here, self.shipped) for path in (root / folder).glob(f"*{suffix}")}
        return sorted(found)

    def find(self, kind: str, name: str, *, setting: str) -> Path:
        """The file of a name. A name with a slash or the kind's suffix is a path."""
        folder, suffix = KINDS[kind]
        if "/" in name or name.endswith(suffix):
            path = Path(name).expanduser()
            return self.file(path, setting=setting)
        for root in (self.here, self.shipped):
            path = root / folder / f"{name}{suffix}"
            if path.is_file():
                return path
        raise ConfigError(f"{setting}={name}: no such {kind}; {nearest(name, self.names(kind))}")

    def file(self, path: Path, *, setting: str) -> Path:
        """A path the user gave, which must be a file."""
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise ConfigError(f"{setting}={path}: {what}; give the path of a file")
        return path

    def shown(self, path: Path) -> str:
        """How a file is named to the user."""
        for root in (self.here, self.shipped):
            try:
                return str(path.resolve().relative_to(root.resolve()))
            except ValueError:
                continue
        return str(path)
