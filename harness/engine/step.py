"""The forward step that Megatron's schedules call: a micro-batch through the model, and its loss."""

from functools import partial
from typing import Any

import torch
from megatron.core.rerun_state_machine import get_rerun_state_machine
from megatron.core.utils import get_attr_wrapped_model
from megatron.training import get_args, get_timers

from harness.engine.data import next_batch


def forward_step(samples: Any, model: Any) -> tuple[torch.Tensor, Any]:
    """One micro-batch: the stage's output (on the last stage the loss of each token) and the function of its loss."""
    timer = get_timers()("batch-generator", log_level=2)
    timer.start()
    batch = next_batch(samples, get_attr_wrapped_model(model, "vp_stage"))
    timer.stop()
    losses = model(
        batch["tokens"],
        batch["position_ids"],
        batch["attention_mask"],
        labels=batch["labels"],
        loss_mask=batch["loss_mask"],
    )
    return losses, partial(masked_loss, batch["loss_mask"])


def masked_loss(loss_mask: torch.Tensor, losses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """[b, s/cp] twice → the summed loss, the number of tokens in it, and both again for the log."""
    weights = loss_mask.view(-1).float()
    loss = (losses.view(-1).float() * weights).sum()
    tokens = weights.sum().detach().to(torch.int)
    if get_args().check_for_nan_in_loss_and_grad:
        _refuse_nonfinite(loss)
    return loss, tokens, {"lm loss": torch.stack((loss.detach(), tokens))}


def _refuse_nonfinite(loss: torch.Tensor) -> None:
    for name, test in (("NaN", torch.isnan), ("Inf", torch.isinf)):
        get_rerun_state_machine().validate_result(
            result=loss,
            rejection_func=test,
            message=f"{name} in the loss of a micro-batch",
            tolerance=0.0,
            fatal=True,
        )
