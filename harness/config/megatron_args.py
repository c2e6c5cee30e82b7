"""Megatron's arguments as a mapping from flag to value, and as argv."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

type ArgValue = str | bool | tuple[str, ...]


class FlagValues(ABC):
    """The values of flags, read by type. A flag that is not there, or written as off, has none."""

    @abstractmethod
    def value(self, flag: str) -> ArgValue | None:
        """A flag's value; None if the flag is not there or written as off."""

    def has(self, flag: str) -> bool:
        """Whether a flag is there and not written as off."""
        return self.value(flag) is not None

    def text(self, flag: str, default: str = "") -> str:
        """A flag's single value as text; a list's words with spaces between them."""
        value = self.value(flag)
        return value if isinstance(value, str) else " ".join(value) if isinstance(value, tuple) else default

    def integer(self, flag: str, default: int = 0) -> int:
        """A flag's value as a whole number; ValueError names the flag that holds none."""
        text = self.text(flag)
        try:
            return int(text or default)
        except ValueError:
            raise ValueError(f"{flag} {text} is no whole number") from None

    def number(self, flag: str, default: float = 0.0) -> float:
        """A flag's value as a number; ValueError if it is none."""
        return float(self.text(flag) or default)

    def switch(self, flag: str) -> bool:
        """Whether a switch is present."""
        return self.value(flag) is True


class MegatronArgs(FlagValues, Mapping[str, ArgValue]):
    """Flags in order, e.g. `{"--num-layers": "27", "--swiglu": True, "--data-path": ("a", "b")}`.

    A switch is True when present; False means written as off, and leaves no trace in argv.
    """

    def __init__(self, values: Mapping[str, ArgValue]) -> None:
        self._values = dict(values)

    def __getitem__(self, flag: str) -> ArgValue:
        return self._values[flag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def argv(self) -> list[str]:
        """Megatron's command line, without a program name."""
        words: list[str] = []
        for flag, value in self._values.items():
            if value is False:
                continue
            words.append(flag)
            if isinstance(value, tuple):
                words.extend(value)
            elif value is not True:
                words.append(str(value))
        return words

    def value(self, flag: str) -> ArgValue | None:
        """A flag's value; None if the flag is not there or written as off."""
        value = self._values.get(flag)
        return None if value is False else value
