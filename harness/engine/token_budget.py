"""How many tokens one batch of requests may hold on the ranks of a session."""

import torch
import torch.distributed

from harness.engine.rank_memory import is_cpu_rank
from harness.engine.session import ModelSession
from harness.engine.token_logits import TokenLogits

ON_CPU = 8192  # tokens a batch: beyond some thousand a CPU gains nothing
_PROBE = 2048
_SHARE = 0.7  # of the free memory: experts of a real batch are not loaded as evenly as the probe's


def token_budget(session: ModelSession) -> int:
    """The tokens that fit a batch, cached keys and values counted, on the rank with the least room.

    On a GPU one pass over 2,048 tokens is measured; a CPU rank has a fixed budget. Every rank calls it.
    """
    if is_cpu_rank():
        return ON_CPU
    model, device = TokenLogits(session), torch.cuda.current_device()
    length = min(_PROBE, session.args.max_position_embeddings or _PROBE)
    tokens = torch.randint(model.vocab_size, (1, length), device=device)
    last = torch.full((1,), length - 1, device=device)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    model.read(tokens, (torch.zeros_like(last), last), lambda logits, _rows: logits, model.cache(1, length))
    token_bytes = max(torch.cuda.max_memory_allocated() - before, 1) / length
    torch.cuda.empty_cache()
    free_bytes, _total = torch.cuda.mem_get_info()
    budget = torch.tensor([max(int(_SHARE * free_bytes / token_bytes), 1)], device=device)
    torch.distributed.all_reduce(budget, op=torch.distributed.ReduceOp.MIN)
    return int(budget.item())
