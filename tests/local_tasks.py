"""Tasks of lm-eval with data of their own, and a tokenizer trained on them: nothing is read from a network."""

import json
import random
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 311
_SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_COMMON = """
dataset_path: json
dataset_kwargs: {{data_files: {{train: {data}, test: {data}}}}}
training_split: train
test_split: test
fewshot_split: train
metadata: {{version: 2.0}}
"""
_TASKS = {
    "local_choice": """
task: local_choice
num_fewshot: 1
output_type: multiple_choice
doc_to_text: "Q: {{q}}\\nA:"
doc_to_target: label
doc_to_choice: choices
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}
""",
    "local_letters": """
task: local_letters
num_fewshot: 0
output_type: multiple_choice
doc_to_text: "Which of a, b, c? {{q}}\\nAnswer:"
doc_to_target: label
doc_to_choice: ["a", "b", "c"]
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "local_text": """
task: local_text
num_fewshot: 0
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity}
  - {metric: bits_per_byte}
""",
    "local_answer": """
task: local_answer
num_fewshot: 2
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
generation_kwargs: {until: ["\\n", "x"], max_gen_toks: 12, do_sample: false}
repeats: 2
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
""",
}
_GROUP = """
group: local_group
task: [local_choice, local_answer]
aggregate_metric_list:
  - {metric: acc, aggregation: mean, weight_by_size: true}
metadata: {version: 1.0}
"""


def write_tasks(folder: Path, documents: int = 6) -> Path:
    """Write the four tasks, a group of two of them and their data."""
    folder.mkdir(parents=True)
    rows = [_document(random.Random(number)) for number in range(documents)]
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in _TASKS.items():
        (folder / f"{name}.yaml").write_text(text + _COMMON.format(data=data))
    (folder / "group.yaml").write_text(_GROUP)
    return folder


def write_tokenizer(folder: Path, vocab_size: int = VOCAB_SIZE, template: str | None = TEMPLATE) -> None:
    """Write a tokenizer with a chat template; token 0 begins a text and 1 ends it, as tiny models say."""
    texts = [_text(random.Random(number)) for number in range(50)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(_SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    saved = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    saved.chat_template = template
    saved.save_pretrained(folder)


def record_answers(model: type) -> dict[str, list[Any]]:
    """Make a class of models keep, by the kind of request, what it was asked and what it answered."""
    answers: dict[str, list[Any]] = {}

    def kept(kind: str, method: Any) -> Any:
        def answered(self: Any, requests: list[Any], *args: Any, **options: Any) -> Any:
            found = method(self, requests, *args, **options)
            for request, answer in zip(requests, found, strict=True):
                answers.setdefault(kind, []).append([request.args[0], answer])
            return found

        return answered

    for kind in ("loglikelihood", "loglikelihood_rolling", "generate_until"):
        setattr(model, kind, kept(kind, getattr(model, kind)))
    return answers


def _document(draw: random.Random) -> dict[str, Any]:
    choices = [_text(draw, words) for words in (1, 2, 3)]
    return {
        "q": _text(draw, draw.randint(3, 12)),
        "a": _text(draw, 2),
        "choices": choices,
        "label": draw.randint(0, 2),
        "text": _text(draw, draw.randint(20, 120)),
    }


def _text(draw: random.Random, words: int = 40) -> str:
    syllables = ("ka", "lo", "mi", "ne", "ru", "sta", "po", "thi")
    return " ".join("".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(words))
