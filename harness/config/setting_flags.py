"""The Megatron flag that carries a setting, where one does: by `${NAME}` in the configuration files, or by a rule."""

from collections.abc import Mapping

FLAG_OF_SETTING: Mapping[str, str] = {
    "TP": "--tensor-model-parallel-size",
    "CP": "--context-parallel-size",
    "PP": "--pipeline-model-parallel-size",
    "EP": "--expert-model-parallel-size",
    "ETP": "--expert-tensor-parallel-size",
    "VPP": "--num-virtual-stages-per-pipeline-rank",
    "PP_FIRST": "--decoder-first-pipeline-num-layers",
    "PP_LAST": "--decoder-last-pipeline-num-layers",
    "PP_LAYOUT": "--pipeline-model-parallel-layout",
    "MBS": "--micro-batch-size",
    "GBS": "--global-batch-size",
    "SEQ_LEN": "--seq-length",
    "NUM_LAYERS": "--num-layers",
    "VOCAB_SIZE": "--vocab-size",
    "TRAIN_ITERS": "--train-iters",
    "MOE_TOKEN_DISPATCHER": "--moe-token-dispatcher-type",
    "DATA_PATH": "--data-path",
    "TOKENIZER_MODEL": "--tokenizer-model",
    "LOAD_PATH": "--load",
    "SAVE_INTERVAL": "--save-interval",
}

SETTING_OF_FLAG: Mapping[str, str] = {flag: setting for setting, flag in FLAG_OF_SETTING.items()}
