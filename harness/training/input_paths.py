"""Check the paths that a training will read before it starts; every problem at once, with where it was written."""

from collections.abc import Iterator
from pathlib import Path

from harness.checkpoint.files import CONFIG, METADATA, TRACKER
from harness.config.provenance import Resolved
from harness.config.rules.data import is_weight, sample_prefix
from harness.launch.job import Job
from harness.launch.script.quoting import RUN_DIR


def path_problems(resolved: Resolved, job: Job) -> list[str]:
    """List the paths in flags and settings that are missing or unreadable, as this machine sees them."""
    return [
        *_image_problems(resolved, job),
        *_megatron_problems(resolved, job),
        *_data_problems(resolved, job),
        *_checkpoint_problems(resolved, job),
        *_tokenizer_problems(resolved, job),
    ]


def _image_problems(resolved: Resolved, job: Job) -> Iterator[str]:
    if job.container is None:
        return
    if job.container.image.startswith(("/", "./", "../")):
        yield from _unreadable(resolved, "CONTAINER_IMAGE", Path(job.container.image))
    for mount in job.container.mounts:
        yield from _unreadable(resolved, "CONTAINER_MOUNTS", Path(mount.source))


def _megatron_problems(resolved: Resolved, job: Job) -> Iterator[str]:
    if resolved.embedded:
        return
    seen = job.host_path(f"{resolved.text('MEGATRON_PATH')}/pretrain_gpt.py")
    if seen:
        yield from _unreadable(resolved, "MEGATRON_PATH", seen)


def _data_problems(resolved: Resolved, job: Job) -> Iterator[str]:
    if resolved.text("DATA_PATH") == sample_prefix(resolved.text("OUTPUT_PATH")):
        return  # made by launch itself
    for entry in resolved.megatron_args.text("--data-path").split():
        if is_weight(entry):
            continue
        yield from _not_carried(resolved, job, "DATA_PATH", entry, Path(f"{entry}.bin"))
        seen = job.host_path(entry)
        for suffix in (".bin", ".idx"):
            if seen:
                yield from _unreadable(resolved, "DATA_PATH", Path(f"{seen}{suffix}"))


def _checkpoint_problems(resolved: Resolved, job: Job) -> Iterator[str]:
    load = resolved.megatron_args.text("--load")
    if not load or RUN_DIR in load:
        return
    yield from _not_carried(resolved, job, "LOAD_PATH", load, Path(load))
    seen = job.host_path(load)
    if seen and not (seen / TRACKER).exists() and (instead := _instead_of(seen)):
        yield f"{resolved.at('LOAD_PATH')}LOAD_PATH: {instead}"
    elif seen:
        yield from _unreadable(resolved, "LOAD_PATH", seen / TRACKER)


def _instead_of(folder: Path) -> str | None:
    """Say what to use in place of a folder that cannot be loaded but is near to one that can."""
    if (folder / METADATA).exists() and (folder.parent / TRACKER).exists():
        return f"{folder} is the folder of one step; give the one above it, {folder.parent}"
    if (folder / CONFIG).exists():
        return f"{folder} is a Hugging Face checkpoint; convert it first: moe-harness convert {folder} TARGET"
    return None


def _tokenizer_problems(resolved: Resolved, job: Job) -> Iterator[str]:
    tokenizer = resolved.megatron_args.text("--tokenizer-model")
    if not tokenizer.startswith(("/", "./", "../")):
        return  # none, or a name on the Hub
    yield from _not_carried(resolved, job, "TOKENIZER_MODEL", tokenizer, Path(tokenizer))
    if seen := job.host_path(tokenizer):
        yield from _unreadable(resolved, "TOKENIZER_MODEL", seen)


def _not_carried(resolved: Resolved, job: Job, name: str, path: str, host: Path) -> Iterator[str]:
    if job.host_path(path) is None and host.exists():
        yield (
            f"{resolved.at(name)}{name}: {path} is on this machine, but no mount carries it into the container;"
            f" add its folder to CONTAINER_MOUNTS"
        )


def _unreadable(resolved: Resolved, name: str, path: Path) -> Iterator[str]:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except FileNotFoundError:
        yield f"{resolved.at(name)}{name}: {path} does not exist; correct the path or create it"
    except OSError as error:
        yield f"{resolved.at(name)}{name}: cannot read {path} ({error.strerror}); get access or correct the path"
