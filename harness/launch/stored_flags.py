"""Compare a job's flags with those that the checkpoint it loads was converted for.

Megatron compares a few sizes and no more: with another epsilon, rotary base or routing it loads the same weights and
computes something else.
"""

from pathlib import Path

from harness.arch.layer_pattern import moe_layer_pattern
from harness.checkpoint.network_flags import MTP, NOT_COMPARED, STRUCTURAL
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.config.releases import Catalogue, load
from harness.config.rules.data import NULL_COUNTS_EOD
from harness.config.setting_flags import SETTING_OF_FLAG
from harness.errors import ConfigError


def contradictions(needed: MegatronArgs, folder: Path, resolved: Resolved) -> list[str]:
    """List each flag in which the job differs from what the weights in `folder` need, with its place and the fix."""
    catalogue, asked = load(resolved.text("MCORE_RELEASE_VERSION")), counted_vocabulary(resolved)
    found = []
    for flag in dict.fromkeys((*needed, *STRUCTURAL)):
        if not _is_compared(flag, catalogue, asked, needed):
            continue
        job, checkpoint = (_effective(flag, flags, catalogue) for flags in (asked, needed))
        if not _same(job, checkpoint):
            found.append(_contradiction(flag, job, checkpoint, needed.get(flag, checkpoint), folder, resolved))
    return found


def counted_vocabulary(resolved: Resolved) -> MegatronArgs:
    """The job's flags, `--vocab-size` with the token that NullTokenizer adds in older releases."""
    flags = resolved.megatron_args
    if flags.text("--tokenizer-type") != "NullTokenizer" or resolved.release >= NULL_COUNTS_EOD:
        return flags
    return MegatronArgs({**flags, "--vocab-size": str(flags.integer("--vocab-size") + 1)})


def _is_compared(flag: str, catalogue: Catalogue, asked: MegatronArgs, needed: MegatronArgs) -> bool:
    """Whether the flag counts: the release has it, and it has a bearing on what is computed."""
    if flag in NOT_COMPARED or catalogue.option(flag) is None:
        return False
    if flag == MTP:
        return has(MTP, asked)
    if flag == "--kv-channels":
        return not needed.switch("--multi-latent-attention")
    if flag == "--moe-layer-freq":
        return asked.text("--num-layers") == needed.text("--num-layers")
    return True


def _effective(flag: str, flags: MegatronArgs, catalogue: Catalogue) -> ArgValue | None:
    """The value that Megatron uses for a flag: as written, or as others imply, or its default; None: off or nothing."""
    if flag == "--moe-layer-freq":
        return _pattern(flags)
    if has(flag, flags):
        return flags[flag]
    if flag == "--kv-channels":
        return str(flags.integer("--hidden-size") // max(1, flags.integer("--num-attention-heads")))
    if flag == "--moe-ffn-hidden-size":
        return flags.text("--ffn-hidden-size")
    if flag == "--moe-router-topk-scaling-factor":
        return "1"
    option = catalogue.option(flag)
    return None if option is None or option.default is None or option.is_switch else str(option.default)


def _pattern(flags: MegatronArgs) -> ArgValue:
    """`--moe-layer-freq` as a 0 or 1 for each layer."""
    written = flags.text("--moe-layer-freq", "1")
    try:
        return tuple(str(int(is_moe)) for is_moe in moe_layer_pattern(written, flags.integer("--num-layers")))
    except ConfigError:  # `check` says what is wrong with it
        return written


def has(flag: str, flags: MegatronArgs) -> bool:
    """Whether a flag is written, and not as off."""
    return flags.get(flag, False) is not False


def _same(one: ArgValue | None, other: ArgValue | None) -> bool:
    """Whether two values are equal, numbers by their value; none equals 0."""
    return one == other or (_number(one) is not None and _number(one) == _number(other))


def _number(value: ArgValue | None) -> float | None:
    if value is None:
        return 0.0
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _contradiction(
    flag: str,
    job: ArgValue | None,
    checkpoint: ArgValue | None,
    stored: ArgValue | None,
    folder: Path,
    resolved: Resolved,
) -> str:
    """The message: what the job says of the flag, and what the checkpoint, in whose record it is `stored`, needs."""
    written = has(flag, resolved.megatron_args)
    where = resolved.at(flag) if written else resolved.at("LOAD_PATH")
    if checkpoint is None:
        return f"{where}{_as_argument(flag, job)}: the checkpoint in {folder} has nothing of the kind; leave it out"
    needed = _as_argument(flag, stored)
    fix = f"{SETTING_OF_FLAG[flag]}={stored}" if flag in SETTING_OF_FLAG else needed
    found = _as_argument(flag, resolved.megatron_args[flag]) if written else "the job does not say so"
    return f"{where}{found}: the checkpoint in {folder} needs {needed}; write {fix}"


def _as_argument(flag: str, value: ArgValue | None) -> str:
    """A flag as on a command line."""
    return " ".join(MegatronArgs({flag: value or True}).argv())
