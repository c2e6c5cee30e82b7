"""What each family calls the tensors of a layer in Hugging Face's checkpoints: the tables of the converter.

Attention, norms and dense MLPs have the same names in all of them (see `layer.py`); mixtures of experts do not.
"""

from typing import NamedTuple


class GatedNames(NamedTuple):
    """The three matrices of a gated MLP: down(silu(gate(x)) · up(x))."""

    gate: str
    up: str
    down: str

    def of(self, expert: int) -> "GatedNames":
        """The names of one expert."""
        return GatedNames(*(name.format(expert) for name in self))


class MoENames(NamedTuple):
    """A mixture of experts; `{}` stands for the expert's number."""

    router: str
    expert: GatedNames
    expert_bias: str = ""
    shared: GatedNames | None = None
    shared_gate: str = ""


DENSE = GatedNames("mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight")

DEEPSEEK = MoENames(
    router="mlp.gate.weight",
    expert_bias="mlp.gate.e_score_correction_bias",
    expert=GatedNames(
        "mlp.experts.{}.gate_proj.weight", "mlp.experts.{}.up_proj.weight", "mlp.experts.{}.down_proj.weight"
    ),
    shared=GatedNames(
        "mlp.shared_experts.gate_proj.weight",
        "mlp.shared_experts.up_proj.weight",
        "mlp.shared_experts.down_proj.weight",
    ),
)

QWEN2 = MoENames(
    router="mlp.gate.weight",
    expert=DEEPSEEK.expert,
    shared=GatedNames(
        "mlp.shared_expert.gate_proj.weight", "mlp.shared_expert.up_proj.weight", "mlp.shared_expert.down_proj.weight"
    ),
    shared_gate="mlp.shared_expert_gate.weight",
)

MIXTRAL = MoENames(
    router="block_sparse_moe.gate.weight",
    expert=GatedNames(
        "block_sparse_moe.experts.{}.w1.weight",
        "block_sparse_moe.experts.{}.w3.weight",
        "block_sparse_moe.experts.{}.w2.weight",
    ),
)
