"""A search reads the configuration's files once, and resolves each variant that differs once."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.cli import request
from harness.cli.main import run
from harness.config.configuration import Configuration
from harness.config.provenance import Resolved

OPTIONS = 2 * 2
"""Token dispatchers, each with and without overlap."""


@pytest.mark.parametrize("arguments", [("--page", "page.html"), ("--why", "TP=8,PP=2"), ("--json",)])
def test_files_are_read_once_and_each_variant_is_resolved_once(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    read, resolved = [], Counter[frozenset[tuple[str, str]]]()
    really_read, really_resolved = request.read_configuration, Configuration.resolved

    def reading(*given: object) -> Configuration:
        read.append(given)
        return really_read(*given)  # type: ignore[arg-type]

    def resolving(self: Configuration, settings: Mapping[str, str] = {}) -> Resolved:
        resolved[frozenset((self.typed | settings).items())] += 1
        return really_resolved(self, settings)

    monkeypatch.setattr(request, "read_configuration", reading)
    monkeypatch.setattr(Configuration, "resolved", resolving)
    assert run(["plan", "MODEL=Qwen3-30B-A3B", "GPU=H100", "GPUS=16", *arguments]) == 0
    assert len(read) == 1
    assert set(resolved.values()) == {1}
    assert len(resolved) == 1 + 1 + OPTIONS  # as typed, unsplit, and unsplit with each option
