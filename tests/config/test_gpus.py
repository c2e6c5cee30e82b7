"""GPUS=n: nodes follow from it."""

import pytest
from planned import planned

from harness.errors import ConfigError


def nodes(*words: str) -> tuple[int, int]:
    resolved = planned("MODEL=DeepSeek-V3", *words)
    return resolved.integer("NNODES"), resolved.integer("GPUS_PER_NODE")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["GPUS=1024"], (128, 8)),
        (["GPUS=1024", "GPUS_PER_NODE=4"], (256, 4)),
        (["GPUS=8"], (1, 8)),
        (["GPUS=4"], (1, 4)),
        (["GPUS=16", "NNODES=2"], (2, 8)),
        ([], (128, 8)),
    ],
)
def test_nodes_follow_from_gpus(words: list[str], expected: tuple[int, int]) -> None:
    assert nodes(*words) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["GPUS=1021"], "GPUS=1021 .* fills no whole nodes of GPUS_PER_NODE=8; allowed near it: 1016 or 1024"),
        (["GPUS=4", "GPUS_PER_NODE=8"], "GPUS=4 .* fills no whole nodes of GPUS_PER_NODE=8; allowed near it: 8"),
        (["GPUS=16", "NNODES=3"], "GPUS=16 .*, but NNODES=3 .* with GPUS_PER_NODE=8; keep one of them"),
    ],
)
def test_gpus_that_fill_no_nodes_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        nodes(*words)
