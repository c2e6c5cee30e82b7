"""A program: of each model, the bytes that a micro-batch leaves for the backward pass, by the module that saved them.

Tensors that share memory count once, for the module that saved them first; parameters do not count, and neither do the
tables of rotary positions, which all layers share. Names are those of modules, e.g. `decoder.layers.1.mlp.experts`.
"""

from collections import Counter
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from whole_models import answer_each

SEQUENCES = 2


def saved_bytes(model: Any) -> Counter[str]:
    """Bytes by module."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    inside, counts, alive = [""], Counter[str](), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters and storage.data_ptr() not in alive:
            alive[storage.data_ptr()] = storage
            counts[inside[-1]] += storage.nbytes()
        return tensor

    def leave(*_: Any) -> None:
        inside.pop()

    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: inside.append(name))
        module.register_forward_hook(leave)
    model.train()
    tokens = torch.arange(SEQUENCES * model.max_sequence_length).view(SEQUENCES, -1) % 97
    positions = torch.arange(model.max_sequence_length).expand_as(tokens)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(tokens, positions, None, labels=tokens)
    loss.sum().backward()
    return counts


if __name__ == "__main__":
    answer_each(saved_bytes, "--hidden-dropout", "0", "--attention-dropout", "0")
