"""Make the search space of a `plan` from what the user typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import click

from harness.cli import request
from harness.config.arguments import parse_arguments
from harness.config.configuration import Configuration
from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.errors import ConfigError
from harness.plan.candidate import Candidate
from harness.plan.machine import calibrated, machine
from harness.plan.space.execution_options import base_of
from harness.plan.space.settings import AXES, UNEVEN, WHOLE
from harness.plan.space.space import Space, space


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """The request of a search: `carried` settings that stay, `fixed` ones of those that a search chooses.

    `configuration` is that of the carried settings, for `gpu`; `variants` keeps what it resolved to, by the settings on
    top.
    """

    configuration: Configuration
    gpu: Gpu
    carried: Mapping[str, str]
    fixed: Mapping[str, str]
    variants: dict[frozenset[tuple[str, str]], Resolved] = field(default_factory=dict, repr=False, compare=False)

    def resolve(self, settings: Mapping[str, str]) -> Resolved:
        """The user's configuration with these settings on top."""
        key = frozenset(settings.items())
        found = self.variants.get(key)
        if found is None:
            found = self.variants[key] = self.configuration.resolved(settings)
        return found

    def space(self, gpus: int | None = None) -> Space:
        """The space for the GPUs that were asked for, or for so many."""
        counted = self if gpus is None else self.on(gpus)
        return space(counted.resolve, counted.gpu, self.fixed)

    def on(self, gpus: int) -> "PlanRequest":
        """The same request for another number of GPUs."""
        return self._without("NNODES")._with("GPUS", gpus)

    def with_batch(self, sequences: int) -> "PlanRequest":
        """The same request for another global batch."""
        return self._with("GBS", sequences)

    def narrowed(self, sizes: Mapping[str, str]) -> "PlanRequest":
        """The same request with more of what a search chooses fixed."""
        return replace(self, fixed={**self.fixed, **sizes})

    def command(self, found: Candidate) -> str:
        """The command that launches a candidate."""
        cluster = {"CLUSTER": base_of(self.resolve).text("CLUSTER")}
        return found.launch_command({**cluster, **self.carried}, self.configuration.request.extra)

    def _with(self, name: str, value: int) -> "PlanRequest":
        typed = {**self.configuration.typed, name: str(value)}
        return self._of(self.configuration._replace(typed=typed), {**self.carried, name: str(value)})

    def _without(self, name: str) -> "PlanRequest":
        rest = {key: value for key, value in self.carried.items() if key != name}
        return self._of(self.configuration.without(name), rest)

    def _of(self, configuration: Configuration, carried: Mapping[str, str]) -> "PlanRequest":
        return PlanRequest(configuration=configuration, gpu=self.gpu, carried=carried, fixed=self.fixed)


def plan_request(ctx: click.Context, arguments: Sequence[str]) -> PlanRequest:
    """Parse and check what was typed."""
    typed = parse_arguments(arguments)
    uneven = [name for name in UNEVEN if name in typed]
    if uneven:
        raise ConfigError([f"command line: {name}: plan chooses how layers are split; leave it out" for name in uneven])
    whole = request.planned_configuration(ctx, typed)
    whole.resolved()  # refuses whatever cannot be, axes included
    configuration = whole.without(*AXES)
    base = base_of(configuration.resolved)
    request.show_planned_notices(base)
    return PlanRequest(
        configuration=configuration,
        gpu=calibrated(base, machine(base)),
        carried={name: value for name, value in typed.items() if name not in AXES},
        fixed={name: typed[name] for name in AXES if typed.get(name)},
        variants={frozenset(WHOLE.items()): base},
    )
