"""The model that lm-eval asks: it makes tokens of texts, and the ranks of an `Answerer` answer.

Windows, prefix token, truncation, special tokens and stop texts are those of lm-eval's own `hf` model, so that both
give the same numbers for the same weights.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from numpy.typing import NDArray

from harness.engine.answerer import Answerer
from harness.engine.generation import Decoding, Prompt
from harness.engine.scoring import Continuation, Score, Scored
from harness.errors import ConfigError
from harness.evaluation.text_tokenizer import TextTokenizer

MAX_NEW_TOKENS = 256  # of a task that does not say
# What transformers takes where a task asks for sampling and does not say.
_SAMPLED_TOP_K = 50
_KNOWN = {"until", "max_gen_toks", "do_sample", "temperature", "top_k", "top_p"}
_OF_NO_EFFECT = {"num_beams": 1, "repetition_penalty": 1.0}

_CERTAIN = Score(log_likelihood=0.0, is_greedy=True)  # of a continuation without tokens


@register_model("moe_harness")
class MoeHarnessLM(TemplateLM):
    """Rank 0 of 1 to lm-eval, whatever the mapping: the ranks behind the answerer are none of its business."""

    def __init__(self, answerer: Answerer, tokenizer: TextTokenizer, *, max_length: int, seed: int) -> None:
        """`max_length` is the most tokens the model reads at once; `seed` is of generated texts that are drawn."""
        super().__init__()
        self._answerer, self._text, self._seed = answerer, tokenizer, seed
        self.max_length = max_length
        self.tokenizer = tokenizer.underlying

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        if self._text.end is None:
            raise ConfigError(f"{self._text.name}: the tokenizer has no eos_token; set it in tokenizer_config.json")
        return self._text.end

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has no context."""
        return self.eot_token_id if self._text.begin is None else self._text.begin

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer's folder, in the form that lm-eval makes keys of."""
        return self._text.name.replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as the tokenizer's template writes it; without its system message if it takes none."""
        from jinja2.exceptions import TemplateError

        options = {
            "tokenize": False,
            "add_generation_prompt": add_generation_prompt,
            "continue_final_message": not add_generation_prompt,
        }
        try:
            return str(self.tokenizer.apply_chat_template(chat_history, **options))
        except TemplateError:
            turns = [message for message in chat_history if message["role"] != "system"]
            return str(self.tokenizer.apply_chat_template(turns, **options))

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_unused: Any) -> list[int]:
        """Tokens; none is put before a text that begins with the prefix already."""
        if add_special_tokens is None and string.startswith(self._word(self.prefix_token_id)):
            add_special_tokens = False
        return self._text.encode(string, add_special_tokens)

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **_unused: Any
    ) -> list[tuple[float, bool]]:
        """Of each context and continuation the summed log-likelihood, and whether greedy decoding would give it."""
        scores = self._answerer.score(self._sequences(requests))
        found = [scores.get(number, _CERTAIN) for number in range(len(requests))]
        return [(score.log_likelihood, score.is_greedy) for score in found]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of each whole text, in windows of `max_length`, every token predicted once."""
        windows, owner = [], []
        for number, (text,) in enumerate(request.args for request in requests):
            for window in get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            ):
                windows.append((None, *make_disjoint_window(window)))
                owner.append(number)
        totals = [0.0] * len(requests)
        for number, (log_likelihood, _greedy) in zip(owner, self._loglikelihood_tokens(windows), strict=True):
            totals[number] += log_likelihood
        return totals

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each context, up to the first of the request's stop texts."""
        asked = [(context, _normalized(options)) for context, options in (request.args for request in requests)]
        alike: dict[str, list[int]] = defaultdict(list)
        for number, (_context, options) in enumerate(asked):
            alike[repr(sorted(options.items()))].append(number)
        texts = [""] * len(requests)
        for numbers in alike.values():
            contexts = {number: asked[number][0] for number in numbers}
            for number, text in self._written(contexts, asked[numbers[0]][1]).items():
                texts[number] = text
        return texts

    def _sequences(self, requests: Iterable[tuple[Any, list[int], list[int]]]) -> list[Scored]:
        """What the model has to read: choices of one token each after the same context are one sequence."""
        alike: dict[bytes, list[Continuation]] = defaultdict(list)
        for number, (_texts, context, targets) in enumerate(requests):
            if len(targets) > self.max_length:
                raise ConfigError(f"tasks: a continuation has {len(targets)} tokens; the model reads {self.max_length}")
            if targets:
                read = _tokens((context + targets)[-(self.max_length + 1) : -1])
                alike[read.tobytes()].append(Continuation(number=number, targets=tuple(targets)))
        return [
            Scored(tokens=np.frombuffer(read, dtype=np.int32), continuations=tuple(continuations))
            for read, continuations in alike.items()
        ]

    def _written(self, contexts: Mapping[int, str], options: Mapping[str, Any]) -> dict[int, str]:
        """What is written after contexts that share their options; greedy repeats of a context are written once."""
        stops = handle_stop_sequences(list(options["until"]), eos=self._word(self.eot_token_id))
        decoding = self._decoding(options)
        room = self.max_length - decoding.max_new_tokens
        if room <= 0:
            raise ConfigError(
                f"tasks: {decoding.max_new_tokens} tokens are to be generated, and the model reads {self.max_length}; "
                "lower max_gen_toks"
            )
        first: dict[str, int] = {}
        same = {
            number: number if decoding.temperature > 0 else first.setdefault(context, number)
            for number, context in contexts.items()
        }
        prompts = [
            Prompt(number=number, tokens=_tokens((self.tok_encode(contexts[number]) or [self.prefix_token_id])[-room:]))
            for number in sorted(set(same.values()))
        ]
        found = self._answerer.generate(prompts, decoding, tuple(stop for stop in stops if stop))
        texts = {
            number: postprocess_generated_text(self._text.decode(tokens, skip_special_tokens=True), stops, None)
            for number, tokens in found.items()
        }
        return {number: texts[original] for number, original in same.items()}

    def _decoding(self, options: Mapping[str, Any]) -> Decoding:
        """How lm-eval's options choose tokens."""
        is_drawn = options["do_sample"]
        return Decoding(
            max_new_tokens=options["max_gen_toks"],
            end=self.eot_token_id,
            temperature=float(options.get("temperature", 1.0)) if is_drawn else 0.0,
            top_k=int(options.get("top_k", _SAMPLED_TOP_K)) or None,
            top_p=float(options.get("top_p", 1.0)),
            seed=self._seed,
        )

    def _word(self, token: int) -> str:
        """The text of one token, special ones too."""
        return self._text.decode([token], skip_special_tokens=False)


def _normalized(options: Mapping[str, Any]) -> dict[str, Any]:
    """A request's options, complete; ConfigError names all that are not carried out."""
    normalized = dict(normalize_gen_kwargs(dict(options), MAX_NEW_TOKENS))
    if unknown := [
        f"tasks: generation_kwargs {name}={value!r} is not carried out; known: {', '.join(sorted(_KNOWN))}"
        for name, value in normalized.items()
        if name not in _KNOWN and _OF_NO_EFFECT.get(name) != value
    ]:
        raise ConfigError(unknown)
    return normalized


def _tokens(tokens: Sequence[int]) -> NDArray[np.int32]:
    return np.array(tokens, dtype=np.int32)
