"""Secrets: by the names of environment variables, and by their values. No file, argument or script may hold one."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

SECRETS = frozenset({"WANDB_API_KEY", "HF_TOKEN"})
"""Those that a job is known to use: it reads them from its environment, which it inherits."""

_NAME = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)  # not TOKENIZER_MODEL, not NCCL_IB_PKEY
_SHAPE = re.compile(r"\b(hf_\w{20,}|wandb_v\d+_\w{20,}|(?<![/\w])[0-9a-f]{40})\b")
"""Tokens of Hugging Face and of Weights & Biases; forty hex digits after a slash are a commit in a cache's path."""

_SHORTEST = 8  # a shorter value is no secret worth the name, and would blot out innocent text


def is_secret(name: str) -> bool:
    """Whether a variable of this name must not be written down."""
    return bool(_NAME.search(name))


def secret_values(*envs: Mapping[str, str]) -> frozenset[str]:
    """The secrets that environments hold."""
    return frozenset(
        value for env in envs for name, value in env.items() if is_secret(name) and len(value) >= _SHORTEST
    )


def named_in(texts: Collection[str], env: Mapping[str, str]) -> list[str]:
    """The secrets of an environment whose values stand in texts, be it quoted for a shell."""
    found = {name: env[name] for name in sorted(env) if is_secret(name) and len(env[name]) >= _SHORTEST}
    return [
        name
        for name, value in found.items()
        if any(form in text for form in {value, value.replace("'", "'\"'\"'")} for text in texts)
    ]


def scrub(value: Any, secrets: Collection[str]) -> Any:
    """A JSON value in which every secret, wherever it stands in a text, is `***`."""

    def without_secrets(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        return text

    return _changed(value, without_secrets)


def scrub_shapes(value: Any) -> Any:
    """A JSON value without what looks like a key of a service that jobs use, whoever's it is."""
    return _changed(value, lambda text: _SHAPE.sub("***", text))


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {_changed(name, change): _changed(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
