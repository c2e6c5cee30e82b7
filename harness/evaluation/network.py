"""What lies beside a checkpoint's weights and decides how they are evaluated."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.checkpoint.argument_flags import saved_flags, saved_vocab_size
from harness.checkpoint.files import CheckpointFormat
from harness.checkpoint.folder import Checkpoint
from harness.checkpoint.record import GROUP_SCORE, read_record
from harness.checkpoint.saved_arguments import read_saved_arguments
from harness.checkpoint.torch_save.dcp_metadata import DcpMetadata, read_metadata
from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError

_EMBEDDING = "embedding.word_embeddings.weight"
_ONLY_WITH = {
    "--group-query-attention": ("--num-query-groups",),
    "--multi-latent-attention": (
        *("--q-lora-rank", "--kv-lora-rank", "--qk-head-dim", "--qk-pos-emb-head-dim", "--v-head-dim", "--rope-type"),
        *("--rotary-scaling-factor", "--mscale", "--mscale-all-dim"),
    ),
}
"""What Megatron saves a value of whether it counts or not, by the switch without which it does not."""
_USUAL_SEQ_LEN = 1024
_TOKENIZER = "tokenizer.json"
_ZIP = b"PK\x03\x04"
"""What torch.save writes begins so."""


class Network(NamedTuple):
    """A checkpoint's network: its `flags`, `--vocab-size` among them, and how groups of experts are scored.

    `seq_len` is tokens a window unless the user says otherwise: the training's, or at most 1,024. `tokenizer` is the
    folder of one that lies beside the weights.
    """

    flags: MegatronArgs
    group_score: str
    seq_len: int
    tokenizer: str | None

    @property
    def vocab_size(self) -> int:
        """Tokens of the vocabulary, without the rows that pad it."""
        return self.flags.integer("--vocab-size")


def read_network(checkpoint: Checkpoint) -> Network:
    """The network of a whole torch_dist checkpoint. ConfigError says what is missing or damaged, and how to mend it."""
    folder = checkpoint.folder
    if checkpoint.format is not CheckpointFormat.TORCH_DIST:
        raise ConfigError(
            f"{folder}: a checkpoint in Megatron's legacy format; evaluations read torch_dist, so convert it first:"
            f" moe-harness convert {shlex.quote(str(folder))} TARGET --to torch_dist"
        )
    metadata = read_metadata(folder)
    _require_files(folder, metadata)
    if record := read_record(folder):
        limits = {limit.name for limit in record.limits}
        flags, score, trained_at = record.flags, "max" if GROUP_SCORE in limits else "sum", 0
    else:
        args = read_saved_arguments(checkpoint)
        flags, score, trained_at = _saved_flags(args, folder, metadata), "sum", int(args.get("seq_length") or 0)
    longest = flags.integer("--max-position-embeddings") or _USUAL_SEQ_LEN
    return Network(
        flags=flags,
        group_score=score,
        seq_len=min(trained_at or _USUAL_SEQ_LEN, longest),
        tokenizer=_tokenizer(folder),
    )


def _saved_flags(args: Mapping[str, Any], folder: Path, metadata: DcpMetadata) -> MegatronArgs:
    flags = saved_flags(args, str(folder))
    embedding = metadata.tensors.get(_EMBEDDING)
    if embedding is None:
        raise ConfigError(f"{folder}: no {_EMBEDDING} in it; is this a language model's checkpoint?")
    router_dtype = args.get("moe_router_dtype")
    inert = {flag for switch, others in _ONLY_WITH.items() if not flags.switch(switch) for flag in others}
    return MegatronArgs(
        {
            **{flag: value for flag, value in flags.items() if flag not in inert},
            "--vocab-size": str(saved_vocab_size(args, embedding.shape[0])),
            **({"--moe-router-dtype": str(router_dtype)} if router_dtype else {}),
        }
    )


def _require_files(folder: Path, metadata: DcpMetadata) -> None:
    """ConfigError lists the shards that are absent, shorter than `.metadata` says, or begin with something else."""
    problems = []
    for path, end in metadata.end_of_files().items():
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                begins = file.read(len(_ZIP))
        except OSError as error:
            fix = "ask for access" if isinstance(error, PermissionError) else "copy the checkpoint again"
            problems.append(f"{path}: {error.strerror}, but .metadata lists it; {fix}")
            continue
        if size < end:
            problems.append(f"{path}: has {size} bytes, .metadata lists {end}: it is cut short; copy it again")
        elif begins != _ZIP:
            problems.append(f"{path}: begins with {begins!r}, no file of torch.save: it is damaged; copy it again")
    if problems:
        raise ConfigError([*problems[:20], *([f"{folder}: and {len(problems) - 20} more"] if problems[20:] else [])])


def _tokenizer(folder: Path) -> str | None:
    """The nearest folder with a tokenizer: that of the weights, or the one above it."""
    found = (at for at in (folder, folder.parent) if (at / _TOKENIZER).is_file())
    return next((str(at.absolute()) for at in found), None)
