"""From what the user typed to the space that a search runs through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from harness.cli import request
from harness.cli.main import Invocation
from harness.config.arguments import parse_arguments
from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.errors import ConfigError
from harness.plan.candidate import Candidate
from harness.plan.known_machine import calibrated
from harness.plan.launch_line import launch_line
from harness.plan.machine import machine
from harness.plan.space.settings import AXES, UNEVEN
from harness.plan.space.space import Space, space
from harness.plan.space.ways import base_of


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What was typed: `carried` settings that stay as they are, and `fixed` ones of those that a search chooses."""

    ctx: click.Context
    carried: Mapping[str, str]
    fixed: Mapping[str, str]

    def resolve(self, settings: Mapping[str, str]) -> Resolved:
        """The user's configuration with these settings on top."""
        return request.resolved(self.ctx, request.as_planned({**self.carried, **settings}), "slurm")

    def space(self, gpus: int | None = None) -> Space:
        """The space for the GPUs that were asked for, or for so many."""
        counted = self if gpus is None else self.on(gpus)
        return space(counted.resolve, counted.gpu(), self.fixed)

    def on(self, gpus: int) -> "PlanRequest":
        """The same request for another number of GPUs."""
        rest = {name: value for name, value in self.carried.items() if name != "NNODES"}
        return PlanRequest(ctx=self.ctx, carried={**rest, "GPUS": str(gpus)}, fixed=self.fixed)

    def with_batch(self, sequences: int) -> "PlanRequest":
        """The same request for another global batch."""
        return PlanRequest(ctx=self.ctx, carried={**self.carried, "GBS": str(sequences)}, fixed=self.fixed)

    def narrowed(self, sizes: Mapping[str, str]) -> "PlanRequest":
        """The same request with more of what a search chooses fixed."""
        return PlanRequest(ctx=self.ctx, carried=self.carried, fixed={**self.fixed, **sizes})

    def gpu(self) -> Gpu:
        """The GPU that was named."""
        base = base_of(self.resolve)
        return calibrated(base, machine(base))

    def line(self, found: Candidate) -> str:
        """The command that launches a candidate."""
        invocation: Invocation = self.ctx.obj
        cluster = {"CLUSTER": base_of(self.resolve).text("CLUSTER")}
        return launch_line({**cluster, **self.carried}, found, invocation.extra)


def plan_request(ctx: click.Context, words: Sequence[str]) -> PlanRequest:
    """What was typed, checked as far as any verb checks it."""
    typed = parse_arguments(words)
    uneven = [name for name in UNEVEN if name in typed]
    if uneven:
        raise ConfigError([f"command line: {name}: plan chooses how layers are split; leave it out" for name in uneven])
    request.planned(ctx, words)  # refuses whatever cannot be, axes included
    fixed = {name: typed[name] for name in AXES if typed.get(name)}
    carried = {name: value for name, value in typed.items() if name not in AXES}
    asked = PlanRequest(ctx=ctx, carried=carried, fixed=fixed)
    request.say_planned(base_of(asked.resolve))
    return asked
