"""What transformers computes: `python -m ckpt_convert.reference FOLDER TOKENS.npy OUT.npz`.

A process of its own, so that the converter needs neither torch nor transformers.
"""

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Write `logits` (batch, tokens, vocabulary) in fp32, of the model in FOLDER on TOKENS (batch, tokens)."""
    folder, tokens, out = map(Path, sys.argv[1:])
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()
    with torch.inference_mode():
        logits = model(torch.from_numpy(np.load(tokens)), use_cache=False).logits
    np.savez(out, logits=logits.float().numpy())


if __name__ == "__main__":
    main()
