"""Which safetensors files a Hugging Face folder's weights are in, and which tensor is in which."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ckpt_convert.hf.safetensors import Header, read_header
from ckpt_convert.reading.json_file import read_json_file
from harness.errors import ConfigError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_LONGEST_NAME = 200  # what any file system takes


def read_shards(folder: Path) -> tuple[Header, ...]:
    """The headers of all files of the folder's weights, in the order of their names.

    Raises ConfigError with all that is wrong: absent or damaged files, an index that disagrees with them, a tensor in
    two files, no safetensors at all.
    """
    if not (folder / INDEX).exists():
        headers, problems = _headers(_files_without_index(folder))
        _raise(problems or _twice(headers))
        return headers
    index = _weight_map(folder / INDEX)
    headers, problems = _headers(sorted({folder / file for file in index.values()}))
    _raise(problems or _disagreements(index, headers, folder / INDEX))
    return headers


def _files_without_index(folder: Path) -> list[Path]:
    """The file of the usual name, or else all safetensors files."""
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    found = sorted(folder.glob("*.safetensors"))
    if found:
        return found
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if pickles:
        raise ConfigError(
            f"{folder}: holds pickled weights ({_some(pickles)}), which can run code when they are read; safetensors "
            "files are needed: download those of the model, or make them where that may happen, with transformers: "
            f"`AutoModelForCausalLM.from_pretrained('{folder}', dtype='auto').save_pretrained('NEW_FOLDER')`"
        )
    raise ConfigError(f"{folder}: holds no weights: neither {INDEX} nor {SINGLE} nor any *.safetensors is there")


def _weight_map(path: Path) -> dict[str, str]:
    """The index's table: tensor → name of a file in the same folder."""
    table = read_json_file(path).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{path}: has no weight_map (tensor → file): download it again")
    foreign = {repr(file) for file in table.values() if not _is_plain_name(file)}
    _raise([f"{path}: weight_map names {file:.120}; only files of this folder are read" for file in sorted(foreign)])
    return table


def _is_plain_name(file: object) -> bool:
    """Whether it names something in the folder itself (which may be a link, as it is in Hugging Face's cache)."""
    if not isinstance(file, str) or len(file) > _LONGEST_NAME:
        return False
    return file not in {"", ".", ".."} and not any(char in file for char in "/\\\0")


def _headers(paths: Iterable[Path]) -> tuple[tuple[Header, ...], list[str]]:
    """The headers that can be read, and what is wrong with the others."""
    headers: list[Header] = []
    problems: list[str] = []
    for path in paths:
        try:
            headers.append(read_header(path))
        except ConfigError as error:
            problems.extend(error.problems)
    return tuple(headers), problems


def _twice(headers: Iterable[Header]) -> list[str]:
    """Problems: files with a tensor that an earlier file has too."""
    holder: dict[str, str] = {}
    problems = []
    for header in headers:
        held = {*header.tensors, *header.others}
        if again := held & holder.keys():
            others = {holder[name] for name in again}
            problems.append(f"{header.path}: {_some(again)} are also in {_some(others)}: remove the file that is stale")
        holder |= dict.fromkeys(held, header.path.name)
    return problems


def _disagreements(index: Mapping[str, str], headers: Iterable[Header], path: Path) -> list[str]:
    """Problems: tensors that are not where the index says, one line for each file."""
    problems: list[str] = []
    names_of: dict[str, set[str]] = {}
    for name, file in index.items():
        names_of.setdefault(file, set()).add(name)
    for header in headers:
        held, named = {*header.tensors, *header.others}, names_of.get(header.path.name, set())
        if named - held:
            problems.append(f"{header.path}: lacks {_some(named - held)}, which {path.name} says it holds")
        if held - named:
            problems.append(f"{header.path}: holds {_some(held - named)}, which {path.name} does not say")
    if problems:
        problems.append(f"{path}: does not go with these files: download the index and the files of one revision")
    return problems


def _some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    ordered = sorted(names)
    return ", ".join(ordered[:4]) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")


def _raise(problems: list[str]) -> None:
    if problems:
        raise ConfigError(problems)
