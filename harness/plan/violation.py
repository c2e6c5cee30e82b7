"""Why Megatron would refuse a job, and the arithmetic of helpful answers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from harness.arch.dispatcher import asked_dispatcher
from harness.arch.parallel import Batch, Parallel
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release
from harness.config.setting_flags import FLAG_OF_SETTING

if TYPE_CHECKING:  # a launch that names no GPU starts faster without the cost model
    from harness.cost.hardware import Gpu


class Violation(NamedTuple):
    """One reason why Megatron would refuse the job.

    `message` says what was found and what is allowed, `fix` what to change. `names` are the settings and flags it is
    about, the likeliest culprit first, so that the caller can say where each was written.
    """

    constraint: str
    message: str
    fix: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.message}; fix: {self.fix}"


class Case(NamedTuple):
    """Everything that a constraint may look at.

    What is not known has no say: a Transformer Engine version (`te`), a `gpu`, the job's environment (`env`).
    """

    args: MegatronArgs
    parallel: Parallel
    batch: Batch
    release: Release
    gpus_per_node: int | None
    te: Release | None = None
    gpu: "Gpu | None" = None
    env: Mapping[str, str] | None = None

    @property
    def experts(self) -> int:
        """Routed experts of a layer; 0 in a dense model."""
        return self.args.integer("--num-experts")

    @property
    def sequence_parallel(self) -> bool:
        """Whether activations are split along the sequence; Megatron ignores the flag at TP=1."""
        return self.args.switch("--sequence-parallel") and self.parallel.tp > 1

    @property
    def fp8_recipe(self) -> str | None:
        """How fp8 GEMMs are scaled (Megatron's default: delayed); None without fp8."""
        return self.args.text("--fp8-recipe", "delayed") if "--fp8-format" in self.args else None

    @property
    def dispatcher(self) -> str:
        """The token dispatcher's type."""
        return asked_dispatcher(self.args).kind

    @property
    def flex_backend(self) -> str | None:
        """What the flex dispatcher sends tokens with; None with another dispatcher."""
        return asked_dispatcher(self.args).backend

    def older_te(self, least: Release) -> bool:
        """Whether Transformer Engine is known to be older than `least`."""
        return self.te is not None and self.te < least


def refused(constraint: str, found: str, allowed: str, fix: str, *about: str) -> Violation:
    """`found; allowed: …; fix: …`, about these settings and flags."""
    return Violation(constraint=constraint, message=f"{found}; allowed: {allowed}", fix=fix, names=names(*about))


def needs_te(constraint: str, found: str, least: Release, *about: str) -> Violation:
    """`found` on a Transformer Engine that is too old for it."""
    wanted = f"Transformer Engine {least}"
    fix = f"an image with {wanted}, or leave it out"
    return refused(constraint, f"{found} on an older Transformer Engine", f"{wanted} or later", fix, *about)


def names(*settings_and_flags: str) -> tuple[str, ...]:
    """The names given, each setting followed by the flag that carries it."""
    found: list[str] = []
    for name in settings_and_flags:
        found += [name, FLAG_OF_SETTING[name]] if name in FLAG_OF_SETTING else [name]
    return tuple(found)


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def neighbours(value: int, allowed: Iterable[int]) -> list[int]:
    """The nearest allowed number below `value` and the nearest above, where there are any."""
    candidates = sorted(allowed)
    below = [candidate for candidate in candidates if candidate < value][-1:]
    return below + [candidate for candidate in candidates if candidate > value][:1]


def neighbouring_multiples(value: int, unit: int) -> list[int]:
    """The multiples of `unit` next to `value`, which is none itself."""
    below = value // unit * unit
    return [multiple for multiple in (below, below + unit) if multiple > 0]


def either(name: str, values: Iterable[int]) -> str:
    """`EP=32 or EP=64`."""
    return " or ".join(f"{name}={value}" for value in values)


def listed(values: Iterable[int]) -> str:
    """`8, 16, 32`."""
    return ", ".join(map(str, values))
