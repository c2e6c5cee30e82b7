"""What ranks that answer requests do in tests; each function is one rank's whole job."""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.tensor_parallel.mappings import gather_from_tensor_model_parallel_region

from harness.engine.session import ModelSession
from harness.engine.token_logits import TokenLogits

LENGTH = 24


def compare_cached_logits() -> None:
    """Logits by prefill, a chunk of several tokens and single ones, against one forward pass over all tokens."""
    session = _session()
    model = TokenLogits(session)
    tokens = torch.from_numpy(np.random.default_rng(7).integers(0, 257, (2, LENGTH)))
    whole = session.forward_logits(tokens)
    cache = model.cache(2, LENGTH)
    stepped = []
    for start, end in ((0, 9), (9, 14), *((place, place + 1) for place in range(14, LENGTH))):
        rows, places = torch.meshgrid(torch.arange(2), torch.arange(end - start), indexing="ij")
        chosen = (rows.flatten(), places.flatten())
        logits = model.read(tokens[:, start:end], chosen, lambda logits, _rows: logits, cache)
        if logits is not None:
            stepped.append(logits.unflatten(0, (2, end - start)))
    assert (whole is not None) == bool(stepped) == mpu.is_pipeline_last_stage()
    if whole is not None:
        whole = gather_from_tensor_model_parallel_region(whole)[..., : session.args.vocab_size]
        largest = whole.abs().max().item()
        assert largest > 1, "logits that are all alike prove nothing"
        torch.testing.assert_close(torch.cat(stepped, dim=1), whole, rtol=0, atol=1e-5 * largest)
    session.close()


def _session() -> ModelSession:
    """The model of the checkpoint that comes first on the command line."""
    checkpoint = Path(sys.argv.pop(1))
    session = ModelSession.start(seq_length=64)
    session.load(checkpoint)
    return session
