"""What must be equal for evaluations to have measured the same thing."""

from collections.abc import Mapping, Sequence

from harness.compare.likeness import Condition
from harness.evaluation.spec import EvaluatedPart

CONDITIONS_OF_ALL = (Condition("schema version", ["schema_version"]),)
_SEQ_LEN = Condition("sequence length", ["evaluation.seq_len"])
_BATCH_SIZE = Condition("batch size", ["evaluation.batch_size"])
_PRECISION = Condition("precision", ["config.PR"])
_TOKENS = (
    Condition("evaluated tokens", ["validation.data.sha256", "evaluation.data.fingerprint"]),
    _SEQ_LEN,
    Condition("most tokens", ["validation.tokens", "evaluation.max_tokens"]),
    _PRECISION,
)

CONDITIONS_OF_PARTS: Mapping[EvaluatedPart, Sequence[Condition]] = {
    "loss": (*_TOKENS, Condition("rule of windows", ["validation.data.rule"])),
    "routing": (*_TOKENS, _BATCH_SIZE, Condition("expert parallel size of the loads", ["evaluation.ep"])),
    "speed": (
        Condition("device", ["inference_performance.device"]),
        _BATCH_SIZE,
        _SEQ_LEN,
        _PRECISION,
        Condition("measuring of speed", ["evaluation.speed"]),
    ),
    "cost": (Condition("conventions of cost", ["computational_cost.convention"]), _BATCH_SIZE, _SEQ_LEN),
    "tasks": (
        Condition("versions of tasks", ["lm_eval.versions"]),
        Condition("few-shot examples", ["lm_eval.n-shot"]),
        Condition("documents a task", ["lm_eval.n-samples"]),
        Condition("limit of documents", ["lm_eval.limit"]),
        Condition("chat template", ["evaluation.tasks.apply_chat_template"]),
        Condition("hash of the chat template", ["lm_eval.chat_template_sha"]),
        Condition("longest sequence", ["lm_eval.max_length"]),
        Condition("seeds", ["lm_eval.seeds"]),
        Condition("tokenizer", ["evaluation.data.tokenizer_sha256", "evaluation.data.tokenizer"]),
        _PRECISION,
    ),
}
