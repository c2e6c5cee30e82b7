"""Take out of runs who made them and where: users, hosts, accounts, paths and secrets.

The same name becomes the same word in every file of an archive, so that what belonged together still does.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.config.secrets import scrub, scrub_shapes

_HOMES = re.compile(r"/(?:home|users|Users)/([\w.-]+)")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_AUTHORITY = re.compile(r"(?<=://)[^\s/\"'#]+")
_ADDRESS = re.compile(r"(?<![\w.])(?!127\.0\.0\.1)\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_PATH = re.compile(r"""(?<![\w.}~/-])(?:~[\w.-]*)?/(?!/)[^\s"'`:;,=<>()\[\]{}|*?&$#]+""")
_ASSIGNED = re.compile(r"""(?i)\b([\w-]*(?:key|token|secret|password)["']?\s*[=:]\s*)["']?[^\s"',]+""")
_KEPT_PART = re.compile(
    r"tmp|home|users|scratch|usr|opt|bin|lib|dev|shm|checkpoints|eval|log|record\.json|samples\.jsonl|script\.sh|"
    r"resolved\.json|iter_\d+|eval_results_\d+_\d+\.json|routing_[0-9a-f]+\.npz|python[\d.]*"
)
"""Parts of paths that name nobody."""

_SHIPPED = re.compile(r"/((?:model|runtime)_configs/.*)")
"""Where values come from is of use, and the same for everybody."""

_IDENTIFIER = re.compile(r"-{0,2}\w[\w-]*")
"""Names in an object that are its own: fields, settings, flags."""

_NOBODY = frozenset({"root", "nobody", "user", "localhost"})


class Scrubber:
    """Replaces names by words like `host-1`, each always by the same one.

    `users`, `hosts` and `accounts` are those that are known; users are also found in the paths of homes. `secrets` are
    values, which become `***`.
    """

    def __init__(
        self, *, users: Iterable[str], hosts: Iterable[str], accounts: Iterable[str], secrets: Iterable[str]
    ) -> None:
        self._secrets = frozenset(secrets)
        self._words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._names: dict[str, str] = {}
        for kind, names in (("user", users), ("host", _with_short(hosts)), ("account", accounts)):
            for name in sorted(set(names)):
                self._know(kind, name)
        self._known = self._pattern()

    def text(self, text: str) -> str:
        """A text without names."""
        text = _ASSIGNED.sub(r"\1***", str(scrub_shapes(scrub(text, self._secrets))))
        for home in _HOMES.finditer(text):
            if home[1] not in self._names and self._know("user", home[1]):
                self._known = self._pattern()
        text = _EMAIL.sub(lambda found: self._word("mail", found[0]), text)
        text = _AUTHORITY.sub(lambda found: self._word("site", found[0]), text)
        if text.startswith("/") and "\n" not in text and "://" not in text:  # a path may hold spaces
            text = re.sub(r"[^:,=]+", lambda found: self._path(found[0]) if found[0][0] == "/" else found[0], text)
        else:
            text = _PATH.sub(lambda found: self._path(found[0]), text)
        text = _ADDRESS.sub(lambda found: self._word("address", found[0]), text)
        return self._known.sub(self._known_word, text) if self._known else text

    def values(self, value: Any) -> Any:
        """A JSON value without names."""
        if isinstance(value, dict):
            return {
                name if _IDENTIFIER.fullmatch(name) else self.text(name): self.values(item)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.values(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def record(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A record's document; what the program itself wrote, such as status and revision, stays."""
        kept = ("kind", "status", "created", "started", "ended", "revision")
        return {name: item if name in kept else self.values(item) for name, item in document.items()}

    def _know(self, kind: str, name: str) -> bool:
        if name in _NOBODY or name in self._names or not re.search(r"[A-Za-z]", name):
            return False
        self._names[name] = self._word(kind, name)
        return True

    def _pattern(self) -> re.Pattern[str] | None:
        """Known names as whole words, the longest first; a host also as the stem of Slurm's `node[1-4,7]`."""
        names = sorted(self._names, key=len, reverse=True)
        stems = {name.rstrip("0123456789") for name in names if name[-1].isdecimal()} - {""}
        lists = [rf"(?<![A-Za-z0-9]){re.escape(stem)}\[[\d,-]+\]" for stem in sorted(stems)]
        words = [rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])" for name in names]
        return re.compile("|".join([*lists, *words])) if names else None

    def _known_word(self, found: re.Match[str]) -> str:
        return self._names.get(found[0]) or self._word("hosts", found[0])

    def _path(self, path: str) -> str:
        """A path with the same number of parts, each by its word."""
        shipped = _SHIPPED.search(path)
        rest = f"/{shipped[1]}" if shipped else ""
        parts = (path[: shipped.start()] if shipped else path).split("/")
        return "/".join(self._part(part) for part in parts) + rest

    def _part(self, part: str) -> str:
        if not part or part in (".", "..", "~") or _KEPT_PART.fullmatch(part):
            return part
        return self._names.get(part) or self._word("dir", part)

    def _word(self, kind: str, name: str) -> str:
        if (kind, name) not in self._words:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._words[kind, name] = f"{kind}-{self._counts[kind]}"
        return self._words[kind, name]


def hosts_in(document: Mapping[str, Any]) -> set[str]:
    """The hosts that a record names."""
    found = {document.get("job", {}).get("host"), *document.get("hosts", ())}
    _gather(document, found.add, frozenset({"nodes", "excluded", "hosts"}))
    return {name for name in found if isinstance(name, str)}


def accounts_in(document: Mapping[str, Any]) -> set[str]:
    """The account, partition and cluster that a record names."""
    settings = document.get("resolved", {}).get("settings", {})
    values = (settings.get("ACCOUNT"), settings.get("PARTITION"), document.get("job", {}).get("cluster"))
    return {value for value in values if isinstance(value, str) and value}


def _gather(value: Any, take: Callable[[str], Any], names: frozenset[str], inside: bool = False) -> None:
    """Give every text under an object's entries of these names."""
    if isinstance(value, dict):
        for name, item in value.items():
            _gather(item, take, names, inside or name in names)
    elif isinstance(value, list):
        for item in value:
            _gather(item, take, names, inside)
    elif inside and isinstance(value, str):
        take(value)


def _with_short(hosts: Iterable[str]) -> set[str]:
    """Hosts also without their domains."""
    return {form for host in hosts for form in (host, host.partition(".")[0])}
