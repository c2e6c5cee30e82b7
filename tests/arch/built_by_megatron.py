"""A program: of each model, the number of parameters by the module that owns them.

E.g. `{"decoder.layers.0.self_attention.linear_proj": 4096}`.
"""

from collections import Counter
from typing import Any

from whole_models import answer_each


def parameters(model: Any) -> Counter[str]:
    """Parameters by module."""
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        counts[name.rpartition(".")[0]] += parameter.numel()
    return counts


if __name__ == "__main__":
    answer_each(parameters, "--bf16")
