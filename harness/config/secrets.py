"""Secrets: by the names of environment variables, and by their values. No file, argument or script may hold one."""

import re
from collections.abc import Collection, Mapping
from typing import Any

SECRETS = frozenset({"WANDB_API_KEY", "HF_TOKEN"})
"""Those that a job is known to use: it reads them from its environment, which it inherits."""

_NAME = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)  # not TOKENIZER_MODEL, not NCCL_IB_PKEY
_SHORTEST = 8  # a shorter value is no secret worth the name, and would blot out innocent text


def is_secret(name: str) -> bool:
    """Whether a variable of this name must not be written down."""
    return bool(_NAME.search(name))


def secret_values(*envs: Mapping[str, str]) -> frozenset[str]:
    """The secrets that environments hold."""
    return frozenset(
        value for env in envs for name, value in env.items() if is_secret(name) and len(value) >= _SHORTEST
    )


def scrub(value: Any, secrets: Collection[str]) -> Any:
    """A JSON value in which every secret, wherever it stands in a text, is `***`."""
    if isinstance(value, dict):
        return {scrub(name, secrets): scrub(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [scrub(item, secrets) for item in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
    return value
