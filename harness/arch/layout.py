"""`--pipeline-model-parallel-layout`: which layers each pipeline stage holds, e.g. `Et*3|(tt|)*29,m|L`.

Letters: E embedding, t transformer layer, m MTP module, L loss. `|` ends a stage, `(…)*n` and `x*n` repeat, commas are
decoration. Stages are dealt to pipeline ranks in turn: stage i is virtual stage i // PP of rank i % PP.
"""

import re

GROUP = re.compile(r"\(([^)]+)\)\*(\d{1,4})")
LETTER = re.compile(r"(.)\*(\d{1,4})")
LETTERS = "EtmL"


def layout_stages(layout: str) -> tuple[str, ...]:
    """The letters of each stage, repeats written out: `Et|(t|)*2L` → `("Et", "t", "t", "L")`."""
    text = layout.replace(",", "")
    for pattern in (GROUP, LETTER):
        text = pattern.sub(lambda match: match[1] * int(match[2]), text)
    return tuple(text.split("|"))


def layout_problems(layout: str, *, pp: int, num_layers: int, mtp_layers: int | None) -> list[str]:
    """Every mistake in a layout that Megatron refuses, as text.

    MTP modules are not checked where `mtp_layers` is None.
    """
    stages = layout_stages(layout)
    flat = "".join(stages)
    unknown = sorted(set(flat) - set(LETTERS))
    if unknown:
        return [f"has {' '.join(map(repr, unknown))}; the letters are E (embedding), t (layer), m (MTP), L (loss)"]
    problems = []
    if len(stages) % pp:
        problems.append(f"has {len(stages)} stages, which PP={pp} does not divide")
    if flat.count("E") != 1 or not flat.startswith("E"):
        problems.append("must hold one E, and begin with it")
    if flat.count("L") != 1 or not flat.endswith("L"):
        problems.append("must hold one L, and end with it")
    if flat.count("t") != num_layers:
        problems.append(f"holds {flat.count('t')} layers (t), but --num-layers is {num_layers}")
    if mtp_layers is not None and flat.count("m") != mtp_layers:
        problems.append(f"holds {flat.count('m')} MTP modules (m), but --mtp-num-layers is {mtp_layers}")
    if not problems and mtp_layers:
        problems += _mtp_problems(stages, pp)
    return problems


def _mtp_problems(stages: tuple[str, ...], pp: int) -> list[str]:
    """MTP modules stand together, after all layers, in the last virtual stage of a rank."""
    problems = []
    if "t" in "".join(stages).split("m", 1)[1]:
        problems.append("has a layer (t) after an MTP module (m)")
    holders = [index for index, stage in enumerate(stages) if "m" in stage]
    if len(holders) > 1:
        problems.append("spreads the MTP modules (m) over several stages; they must stand in one")
    if any(index < len(stages) - pp for index in holders):
        problems.append("has an MTP module (m) before the last virtual stage of its rank")
    return problems
