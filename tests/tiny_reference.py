"""What transformers computes with a model's folder, in fp32: the numbers that Megatron has to reproduce.

Legend: b sequences, s tokens each, v vocabulary, d predicting layers, h hidden size.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.cache_utils import MtpCache
from transformers.modeling_layers import MtpModel

transformers.utils.logging.set_verbosity_error()  # it lists at length what it leaves out of a file
transformers.utils.logging.disable_progress_bar()


def fixed_tokens(vocab_size: int, *, sequences: int = 2, length: int = 32, seed: int = 7) -> NDArray[np.int64]:
    """Random tokens [b, s]; the same each time."""
    return np.random.default_rng(seed).integers(0, vocab_size, (sequences, length))


def load_reference(folder: Path) -> Any:
    """The model in fp32, with attention written out."""
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    return transformers.AutoModelForCausalLM.from_pretrained(folder, **options).eval()


@torch.no_grad()
def reference_logits(folder: Path, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """The logits [b, s, v] of tokens [b, s]."""
    logits: NDArray[np.float32] = load_reference(folder)(torch.from_numpy(tokens), use_cache=False).logits.numpy()
    return logits


@torch.no_grad()
def reference_mtp_hidden(folder: Path, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the predicting layers hand to the head: [d, b, s - d, h], at the positions with d tokens to follow.

    Layer k combines, at position i, the hidden state of position i (behind the model's final norm, or the norm of the
    layer before) and the embedding of token i + k.
    """
    model = load_reference(folder)
    model._keys_to_ignore_on_load_unexpected = [rf"model\.layers\.{model.config.num_hidden_layers}\..*"]
    predicting = MtpModel.from_pretrained(model).eval()
    depth, length = len(predicting.layers), tokens.shape[1]
    words = torch.from_numpy(tokens)
    hidden = model.model(words, use_cache=False).last_hidden_state
    found = []
    for layer in range(depth):
        words, hidden = words[:, 1:], hidden[:, :-1]
        positions = torch.arange(words.shape[1])[None]
        cache = MtpCache(config=model.config.get_mtp_config())
        hidden = predicting.forward_layer(layer, hidden, positions, cache, input_ids=words)
        found.append(hidden[:, : length - depth].numpy())
    return np.stack(found)
