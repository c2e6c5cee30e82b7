"""Find what is to be evaluated: checkpoints by folder or by the run that trained them, and what lies beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.checkpoint.folder import Checkpoint, find_checkpoint
from harness.cli.run_lookup import run_of
from harness.config.provenance import Resolved, SettingValue
from harness.disk import expanded, is_file, is_folder
from harness.errors import ConfigError
from harness.evaluation.checkpoints import newest_whole, parse_steps, root_of, series_in
from harness.evaluation.network import Network, read_network
from harness.launch.rundir import RunPaths
from harness.runs.record_file import load
from harness.runs.root import default_root
from harness.runs.store import RunNotFound

_MAPPING = ("TP", "PP", "EP", "ETP")
_BESIDE_WEIGHTS = ("GROUP_SCORE", "TOKENIZER_MODEL")


class Subject(NamedTuple):
    """The checkpoints to evaluate, all of one `network`.

    `network` is None where this machine does not see them; `root` is the folder beside which results go. `trained`
    is the configuration of the run that saved them, where that is known.
    """

    checkpoints: tuple[Checkpoint, ...]
    network: Network | None
    root: Path
    trained: Resolved | None = None

    @property
    def model(self) -> str:
        """The name of the model: the run's, or else that of the folder."""
        return (self.trained.text("MODEL") if self.trained else "") or self.root.name

    def settings(self) -> dict[str, SettingValue]:
        """Settings that go with the weights, below whatever the user says."""
        if self.network is None:
            return {}
        flags, trained = self.network.flags, self.trained
        kept = (*_MAPPING, *_BESIDE_WEIGHTS)
        known = {name: trained.settings[name] for name in kept if trained.has(name)} if trained else {}
        beside = {"TOKENIZER_MODEL": self.network.tokenizer} if self.network.tokenizer else {}
        score = {"GROUP_SCORE": self.network.group_score} if self.network.group_score != "sum" else {}
        return {
            "NUM_LAYERS": flags.integer("--num-layers"),
            "VOCAB_SIZE": self.network.vocab_size,
            "SEQ_LEN": self.network.seq_len,
            **known,
            **beside,
            **score,
        }


def find_subject(names: Sequence[str], steps: str | None, *, unseen_allowed: bool) -> Subject:
    """Find the checkpoints that the user names. ConfigError lists all that is wrong with any of them.

    With `unseen_allowed`, folders that this machine does not see are taken as they are written.
    """
    found: list[Subject] = []
    problems: list[str] = []
    for name in names:
        try:
            found.append(_subject(name, steps, unseen_allowed=unseen_allowed))
        except (ConfigError, RunNotFound) as error:
            problems += error.problems if isinstance(error, ConfigError) else [str(error)]
    if problems:
        raise ConfigError(problems)
    first, *others = found
    named = (checkpoint for subject in found for checkpoint in subject.checkpoints)
    checkpoints = tuple({checkpoint.folder.resolve(): checkpoint for checkpoint in named}.values())
    for other in others:
        problems += _unlike(first, other)
    if problems:
        raise ConfigError(problems)
    return first._replace(checkpoints=checkpoints)


def _subject(name: str, steps: str | None, *, unseen_allowed: bool) -> Subject:
    folder = expanded(name)
    if not is_folder(folder):
        if is_file(folder):
            raise ConfigError(f"{name}: is a file; give the folder that holds the checkpoint, or a training run's id")
        if "/" in name and unseen_allowed:
            return _unseen(folder, steps)
        if "/" in name:
            raise ConfigError(f"{name}: no such folder; give a checkpoint's folder, or the id of a training run")
        folder = run_of(default_root(), name).folder
    record = RunPaths(folder).record
    if is_file(record):  # a run's folder, by its id or as a path
        return _of_run(folder, steps)
    checkpoints = series_in(folder, parse_steps(steps)) if steps else (find_checkpoint(folder),)
    root = root_of(checkpoints[0])
    trained = load(root.parent / record.name).resolved if (root.parent / record.name).exists() else None
    return _read(checkpoints, root.parent if trained else root, trained)


def _of_run(folder: Path, steps: str | None) -> Subject:
    record = load(RunPaths(folder).record)
    saved = folder / "checkpoints"
    if not saved.is_dir():
        raise ConfigError(
            f"{folder.name}: this run ({record.kind}) has saved no checkpoints; a training saves them every n steps"
            " with SAVE_INTERVAL=n"
        )
    checkpoints = series_in(saved, parse_steps(steps)) if steps else (newest_whole(saved),)
    return _read(checkpoints, folder, record.resolved)


def _read(checkpoints: tuple[Checkpoint, ...], root: Path, trained: Resolved | None) -> Subject:
    """The subject with its network; every checkpoint of a series must have the same one."""
    networks = [read_network(checkpoint) for checkpoint in checkpoints]
    subject = Subject(checkpoints=checkpoints, network=networks[0], root=root.absolute(), trained=trained)
    problems = [
        problem
        for checkpoint, network in zip(checkpoints, networks, strict=True)
        for problem in _unlike(subject, subject._replace(checkpoints=(checkpoint,), network=network))
    ]
    if problems:
        raise ConfigError(problems)
    return subject


def _unseen(folder: Path, steps: str | None) -> Subject:
    from harness.checkpoint.files import CheckpointFormat

    if steps:
        raise ConfigError(f"{folder} is not to be seen from here, so its steps are not known; name each one's folder")
    checkpoint = Checkpoint(folder=folder.absolute(), format=CheckpointFormat.TORCH_DIST, step=None)
    return Subject(checkpoints=(checkpoint,), network=None, root=folder.absolute())


def _unlike(one: Subject, other: Subject) -> list[str]:
    """In what the networks of two subjects differ, as a problem."""
    if one.network is None or other.network is None:
        return [] if one.network is other.network else [f"{other.root}: seen from here, while others are not"]
    differing = _differing(one.network.flags, other.network.flags)
    if not differing:
        return []
    where, there = other.checkpoints[0].folder, one.checkpoints[0].folder
    return [
        f"{where}: {', '.join(differing)} differ from those of {there}; evaluate them apart, then compare the results"
    ]


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return sorted(flag for flag in {*one, *other} if one.get(flag) != other.get(flag))
