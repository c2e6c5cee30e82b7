"""The families that can be converted: how their config.json is read, what their tensors are called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ckpt_convert.families.common_flags import FamilyFlags
from ckpt_convert.families.config_file import ConfigFile
from ckpt_convert.families.deepseek import (
    deepseek_v2_config,
    deepseek_v2_flags,
    deepseek_v3_config,
    deepseek_v3_flags,
)
from ckpt_convert.families.mixtral import mixtral_config, mixtral_flags
from ckpt_convert.families.names import DEEPSEEK, MIXTRAL, QWEN2, MoENames
from ckpt_convert.families.qwen2_moe import qwen2_moe_config, qwen2_moe_flags
from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class Family:
    """One architecture of transformers. `config` is the inverse of `flags`, as far as the flags say it."""

    architecture: str
    model_type: str
    names: MoENames
    flags: Callable[[ConfigFile], FamilyFlags]
    config: Callable[[MegatronArgs], Mapping[str, object]]


FAMILIES = {
    "DeepSeek-V3": Family(
        architecture="DeepseekV3ForCausalLM",
        model_type="deepseek_v3",
        names=DEEPSEEK,
        flags=deepseek_v3_flags,
        config=deepseek_v3_config,
    ),
    "DeepSeek-V2": Family(
        architecture="DeepseekV2ForCausalLM",
        model_type="deepseek_v2",
        names=DEEPSEEK,
        flags=deepseek_v2_flags,
        config=deepseek_v2_config,
    ),
    "Mixtral": Family(
        architecture="MixtralForCausalLM",
        model_type="mixtral",
        names=MIXTRAL,
        flags=mixtral_flags,
        config=mixtral_config,
    ),
    "Qwen2-MoE": Family(
        architecture="Qwen2MoeForCausalLM",
        model_type="qwen2_moe",
        names=QWEN2,
        flags=qwen2_moe_flags,
        config=qwen2_moe_config,
    ),
}


def family_of_config(config: Mapping[str, object], where: str) -> str:
    """The family that config.json names under `architectures`, or else under `model_type`."""
    listed = config.get("architectures")
    first = listed[0] if isinstance(listed, list) and listed else None
    key, found = ("architectures", first) if first is not None else ("model_type", config.get("model_type"))
    if found is None:
        raise ConfigError(f"{where}: neither architectures nor model_type says what the model is")
    known = {
        family.architecture if key == "architectures" else family.model_type: name for name, family in FAMILIES.items()
    }
    if str(found) not in known:
        raise ConfigError(f"{where}: {key} {found!r} cannot be converted; {nearest(str(found), known)}")
    return known[str(found)]


def family_of_flags(flags: MegatronArgs) -> str:
    """The family that is nearest to a network; whether it really is one of the family's is seen afterwards."""
    if flags.switch("--multi-latent-attention"):
        return "DeepSeek-V3" if flags.text("--moe-router-score-function") == "sigmoid" else "DeepSeek-V2"
    return "Qwen2-MoE" if flags.integer("--moe-shared-expert-intermediate-size") else "Mixtral"
