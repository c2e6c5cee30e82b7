"""The flags that a checkpoint's weights need: those of its record, or else those that its saved arguments came from."""

from collections.abc import Mapping

from harness.arch.model import moe_layers
from harness.checkpoint.files import RECORD
from harness.checkpoint.flag_text import moe_layer_flag, number_text
from harness.checkpoint.folder import Checkpoint
from harness.checkpoint.network_flags import REQUIRED, SAVED
from harness.checkpoint.record import read_record
from harness.checkpoint.saved_arguments import read_saved_arguments
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import known, load
from harness.config.releases.catalogue import Option
from harness.errors import ConfigError

_SINCE_0_18 = "eval_micro_batch_size"
"""An argument that 0.18 brought, and with it a NullTokenizer that adds no token to its vocabulary."""


def flags_of(checkpoint: Checkpoint) -> MegatronArgs:
    """The flags of the network whose weights a checkpoint of Megatron holds; a conversion record has more of them.

    ConfigError where the record or the arguments are damaged, or do not say which network it is.
    """
    record = read_record(checkpoint.folder)
    return record.flags if record else saved_flags(read_saved_arguments(checkpoint), str(checkpoint.folder))


def saved_flags(args: Mapping[str, object], where: str) -> MegatronArgs:
    """The flags about the network, from the attributes of the Namespace saved in the checkpoint `where`.

    Those that were off are absent; `--moe-layer-freq` is a list, and the experts' width is spelt out.
    """
    flags: dict[str, ArgValue] = {}
    for flag in SAVED:
        option = _option(flag, args)
        if option is not None and (value := _flag_value(option, args[option.dest])) is not None:
            flags[flag] = value
    missing = [flag for flag in REQUIRED if flag not in flags]
    if missing:
        raise ConfigError(
            f"{where}: the arguments saved in it do not say {', '.join(missing)}, and there is no {RECORD}: "
            "which network this is cannot be told"
        )
    flags.setdefault("--moe-ffn-hidden-size", flags["--ffn-hidden-size"])
    return MegatronArgs({**flags, "--moe-layer-freq": moe_layer_flag(moe_layers(MegatronArgs(flags)))})


def saved_vocab_size(args: Mapping[str, object], rows: int) -> int:
    """Tokens of the vocabulary, of the `rows` of the embedding; all of them where the arguments do not say."""
    size = args.get("vocab_size")
    if not isinstance(size, int) or size < 1:
        return rows
    adds_token = args.get("tokenizer_type") == "NullTokenizer" and _SINCE_0_18 not in args
    return min(size + adds_token, rows)


def _option(flag: str, args: Mapping[str, object]) -> Option | None:
    """The flag's option in the newest release whose name for it is among the arguments."""
    options = (load(release).option(flag) for release in reversed(known()))
    return next((option for option in options if option is not None and option.dest in args), None)


def _flag_value(option: Option, value: object) -> ArgValue | None:
    """An attribute as it stands on the command line; None where the flag was not given."""
    if option.is_switch:
        return True if value is (option.action != "store_false") else None
    if value is None or value is False:
        return None
    if isinstance(value, list):
        return moe_layer_flag(bool(entry) for entry in value)
    return number_text(value) if isinstance(value, float) else str(value)
