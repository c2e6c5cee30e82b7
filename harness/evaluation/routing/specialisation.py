"""Whether experts take words: how often a token id goes to the one expert that it goes to most (OLMoE)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.routing.assignments import DROPPED

VOCABULARY_RULE = (
    "vocabulary specialisation: of each token id, the share of its occurrences whose top-1 expert is its most frequent"
    " one, as a mean over tokens; repeated: over ids seen twice or more, as an id seen once has the share 1;"
    " its noise: the same after shuffling the top-1 experts among the tokens, which keeps the loads"
)
_SEED = 1337


class VocabularySpecialization(NamedTuple):
    """Means of the shares over all tokens, and over those of ids seen twice or more; None where there are none.

    `token_ids` ids were seen, `repeated_token_ids` of them twice or more.
    """

    mean: float | None
    repeated_mean: float | None
    token_ids: int
    repeated_token_ids: int


def vocabulary_specialization(
    top_1: NDArray[np.uint16], token_ids: NDArray[np.int32], num_experts: int
) -> VocabularySpecialization:
    """Of each token's first expert [T] and its id [T]; tokens whose first expert dropped them do not count."""
    kept = top_1 != DROPPED
    keys = np.sort(token_ids[kept].astype(np.int64) * num_experts + top_1[kept])
    if not len(keys):
        return VocabularySpecialization(None, None, 0, 0)
    starts = _starts(keys)
    in_expert = np.diff(starts, append=len(keys))
    of_id = _starts(keys[starts] // num_experts)
    seen, most = np.add.reduceat(in_expert, of_id), np.maximum.reduceat(in_expert, of_id)
    repeated = seen > 1
    return VocabularySpecialization(
        mean=int(most.sum()) / len(keys),
        repeated_mean=int(most[repeated].sum()) / int(seen[repeated].sum()) if repeated.any() else None,
        token_ids=len(seen),
        repeated_token_ids=int(repeated.sum()),
    )


def shuffled(top_1: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The same experts [T], given to the tokens at random: always the same way."""
    return np.random.default_rng(_SEED).permutation(top_1)


def _starts(ordered: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
