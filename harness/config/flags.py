"""Merging Megatron's flags: by meaning, so that a later `--no-x` displaces an earlier `--x`."""

import shlex
from collections.abc import Iterator, Sequence

from harness.config.megatron_args import ArgValue, FlagValues, MegatronArgs
from harness.config.provenance import Entry, History, Origin
from harness.config.releases import Catalogue, Option, elsewhere

# Options of which Megatron takes one at most, or of which one makes the others void: the highest layer's is kept.
EITHER_OR = (
    ("train_iters", "train_samples"),
    ("lr_decay_iters", "lr_decay_samples"),
    ("lr_warmup_iters", "lr_warmup_samples", "lr_warmup_fraction"),
    ("num_virtual_stages_per_pipeline_rank", "num_layers_per_virtual_pipeline_stage"),
    ("mock_data", "data_path", "train_data_path"),
    ("bf16", "fp16"),
)
_GROUP = {dest: group[0] for group in EITHER_OR for dest in group}


class FlagTable(FlagValues):
    """Flags with their histories, in the order in which they were first written."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._histories: dict[str, tuple[str, History]] = {}  # meaning → (flag, history)

    def meaning(self, flag: str) -> str:
        """What two flags share when only one of them can hold."""
        option = self._catalogue.option(flag)
        dest = option.dest if option else flag
        return _GROUP.get(dest, dest)

    def put(self, flag: str, entry: Entry) -> None:
        """Put what a higher layer wrote on top."""
        meaning = self.meaning(flag)
        _, losers = self._histories.get(meaning, (flag, ()))
        self._histories[meaning] = (flag, (*losers, entry))

    def entry(self, flag: str) -> Entry | None:
        """The winning entry for a flag's meaning, under whatever name it was written."""
        found = self._histories.get(self.meaning(flag))
        return found[1][-1] if found else None

    def value(self, flag: str) -> ArgValue | None:
        """The value of exactly this flag, or None if it is not there or written off."""
        found = self._histories.get(self.meaning(flag))
        if found is None or found[0] != flag:
            return None
        value = found[1][-1].value
        return None if value is None or value is False else _as_arg(value)

    def name_of(self, flag: str) -> str | None:
        """The flag that holds this flag's meaning now."""
        found = self._histories.get(self.meaning(flag))
        return found[0] if found else None

    def drop(self, flag: str) -> None:
        """Forget a flag."""
        self._histories.pop(self.meaning(flag), None)

    def replace(self, flag: str, entries: Sequence[tuple[str, Entry]]) -> None:
        """Put others in the place of a flag."""
        self.drop(flag)
        for other, entry in entries:
            if self.entry(other) is None:
                self.put(other, entry)

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        for flag, history in list(self._histories.values()):
            yield flag, history[-1]

    def histories(self) -> dict[str, History]:
        """flag → history, for `Resolved.origins`."""
        return dict(self._histories.values())

    def args(self) -> MegatronArgs:
        """The winners."""
        return MegatronArgs({flag: _as_arg(entry.value) for flag, entry in self if entry.value is not None})


def _as_arg(value: object) -> ArgValue:
    return value if isinstance(value, (bool, tuple)) else str(value)


def shaped(option: Option | None, value: ArgValue) -> ArgValue:
    """A file's value in the shape its option takes: a tuple for a list option, yes/no for a switch."""
    if not isinstance(value, str):
        return value
    if option is None or option.is_switch:
        return {"true": True, "false": False}.get(value.lower(), value)
    return tuple(shlex.split(value)) if option.takes_list else value


def parse_flags(arguments: Sequence[str], catalogue: Catalogue, layer: str) -> list[tuple[str, Entry]]:
    """Extra flags as typed after `--`: `--flag value`, `--flag=value`, lists, switches. Values keep their text."""
    parsed: list[tuple[str, Entry]] = []
    origin = Origin(layer=layer)
    index = 0
    while index < len(arguments):
        flag, _, attached = arguments[index].partition("=")
        index += 1
        if not _is_flag(flag):
            parsed.append((flag, Entry(value=None, origin=origin)))
            continue
        values = [attached] if "=" in arguments[index - 1] else []
        option = catalogue.option(flag) or elsewhere(flag)
        while index < len(arguments) and not _is_flag(arguments[index]) and _wants_more(option, len(values)):
            values.append(arguments[index])
            index += 1
        parsed.append((flag, Entry(value=_value_of(option, values), origin=origin)))
    return parsed


def parsed_args(arguments: Sequence[str], catalogue: Catalogue, layer: str) -> MegatronArgs:
    """A command line of Megatron, as a mapping of its flags."""
    table = FlagTable(catalogue)
    for flag, entry in parse_flags(arguments, catalogue, layer):
        table.put(flag, entry)
    return table.args()


def _is_flag(argument: str) -> bool:
    return argument.startswith("--")


def _wants_more(option: Option | None, have: int) -> bool:
    if option is None or option.takes_list:
        return True
    return not option.is_switch and have == 0


def _value_of(option: Option | None, values: list[str]) -> ArgValue:
    if not values:
        return True
    return tuple(values) if option is not None and option.takes_list else " ".join(values)
