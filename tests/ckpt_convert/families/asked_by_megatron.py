"""A program: of each model, the shapes of a checkpoint's tensors by key, and the names of its objects."""

from typing import Any

from whole_models import answer_each

METADATA = {"non_homogeneous_layers": True, "singleton_local_shards": False}


def asked(model: Any) -> dict[str, Any]:
    """The tensors and objects that the model saves, and asks for when it loads."""
    from megatron.core.dist_checkpointing.mapping import ShardedObject, ShardedTensor, apply_factories

    state = model.sharded_state_dict(metadata=METADATA)
    apply_factories(state)
    tensors, objects = {}, []
    for entry in leaves(state):
        if isinstance(entry, ShardedTensor):
            tensors[entry.key] = list(entry.global_shape)
        elif isinstance(entry, ShardedObject):
            objects.append(entry.unique_key)
    return {"tensors": tensors, "objects": objects}


def leaves(state: Any) -> Any:
    """All that dicts and lists hold."""
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, list):
        for entry in state:
            yield from leaves(entry)
    else:
        yield state


if __name__ == "__main__":
    answer_each(asked, "--seq-length", "32", "--micro-batch-size", "1")
