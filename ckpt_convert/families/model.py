"""A model to convert: its family, the Megatron flags that its weights need, its config.json."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ckpt_convert.families.config_file import ConfigFile
from ckpt_convert.families.family import FAMILIES, Family, family_of_config, family_of_flags
from ckpt_convert.families.table import WORD_EMBEDDINGS, Table, table_of
from ckpt_convert.tensors import TensorInfo
from harness.arch.model import ModelArch, model_arch
from harness.checkpoint.argument_flags import saved_flags, saved_vocab_size
from harness.checkpoint.files import RECORD
from harness.checkpoint.network_flags import FIXED
from harness.checkpoint.record import ConversionRecord
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of one of the families. `flags` are those that the weights need; none is about training."""

    family: str
    flags: MegatronArgs
    config: Mapping[str, object]

    @property
    def kind(self) -> Family:
        """What all models of the family share."""
        return FAMILIES[self.family]

    @property
    def arch(self) -> ModelArch:
        """The network that the flags describe."""
        return model_arch(self.flags, self.family)

    def table(self) -> Table:
        """Every tensor of the model on both sides."""
        return table_of(self.arch, self.kind.names)


def model_of_config(config: Mapping[str, object], where: str) -> Model:
    """The model that a config.json at `where` describes. ConfigError names all that is missing, absurd or unknown."""
    family = family_of_config(config, where)
    file = ConfigFile(config, where)
    flags = FAMILIES[family].flags(file)
    file.inside("quantization_config").must_be(
        "quant_method", "fp8", "only FP8 weights can be turned back into numbers"
    )
    file.finish()
    return Model(family=family, flags=MegatronArgs(flags), config=config)


def model_of_megatron(
    args: Mapping[str, object], tensors: Mapping[str, TensorInfo], where: str, record: ConversionRecord | None
) -> Model:
    """The model of the checkpoint at `where`. ConfigError where no family of transformers has such a network."""
    if record is not None:
        return model_of_config(record.config, f"{where}/{RECORD}")
    flags = saved_flags(args, where)
    family = FAMILIES[family_of_flags(flags)]
    config: dict[str, object] = {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "num_hidden_layers": flags.integer("--num-layers"),
        "hidden_size": flags.integer("--hidden-size"),
        "num_attention_heads": flags.integer("--num-attention-heads"),
        "hidden_act": "silu",
        "rms_norm_eps": flags.number("--norm-epsilon"),
        "tie_word_embeddings": not flags.switch("--untie-embeddings-and-output-weights"),
        "vocab_size": saved_vocab_size(args, _embedding_rows(tensors, where)),
        **family.config(flags),
    }
    model = model_of_config(config, f"{where}: as config.json")
    problems = [f"{where}: {problem}" for problem in _lost(flags, model)]
    if problems:
        raise ConfigError(problems)
    return model


def _embedding_rows(tensors: Mapping[str, TensorInfo], where: str) -> int:
    if WORD_EMBEDDINGS not in tensors:
        raise ConfigError(f"{where}: {WORD_EMBEDDINGS} is missing, so the size of the vocabulary cannot be told")
    return tensors[WORD_EMBEDDINGS].shape[0]


def _lost(flags: MegatronArgs, model: Model) -> Iterator[str]:
    """What the checkpoint was trained with and its family in transformers cannot have."""
    for flag, default in FIXED.items():
        found, allowed = flags.get(flag, default), model.flags.get(flag, default)
        if found != allowed:
            yield (
                f"it was trained with {flag} {_shown(found)}, and {model.kind.architecture} of transformers has "
                f"{_shown(allowed)} here: no config.json describes this network"
            )


def _shown(value: ArgValue) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else repr(value)
