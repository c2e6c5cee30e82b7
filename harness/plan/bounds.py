"""Lower bounds of a mapping: a step time and a memory that no option to run it can beat."""

from dataclasses import replace

from harness.arch.parallel import Parallel
from harness.arch.shards import RankParameters, rank_parameters
from harness.cost.step_bound import WholeModel, least_step_s, model_s, whole_model
from harness.cost.training import Recompute
from harness.plan.space.execution_options import ExecutionOption
from harness.plan.space.point import Grid, SpacePoint
from harness.plan.space.space import Space


class Bounds:
    """The bounds of one space; each costly figure is computed once."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.network = next(iter(space.networks.values()))
        self.stage = whole_model(len(self.network.layers), self.network.mtp_layers)
        self.model_s: dict[tuple[object, ...], WholeModel] = {}
        self.parameters: dict[tuple[int, ...], RankParameters] = {}

    def step_s(self, point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> float:
        """Least time of a step."""
        grid = point.grid
        key = (grid.tp, grid.cp, grid.ep, grid.etp, point.micro, id(option), recompute)
        found = self.model_s.get(key)
        if found is None:
            job = replace(self.space.job(point, option, recompute), pipeline=((self.stage,),))
            found = self.model_s[key] = model_s(job, self.space.gpu)
        return least_step_s(found, pp=grid.pp, vpp=point.split.vpp, microbatches=point.microbatches)

    def parameter_bytes(self, grid: Grid) -> float:
        """Least bytes of weights, gradients and optimizer states on the fullest rank: those of the mean one."""
        mapping = Parallel(world_size=self.space.world_size, **grid._asdict())
        key = (grid.tp, grid.ep, grid.etp)
        if key not in self.parameters:
            self.parameters[key] = rank_parameters(self.space.networks[grid.tp], (self.stage,), mapping)
        count, state = self.parameters[key], self.space.execution_options[0].job.optimizer
        kept = state.main_weight_bytes + state.exp_avg_bytes + state.exp_avg_sq_bytes
        shards = (mapping.dp * mapping.cp, mapping.edp) if state.distributed else (1, 1)
        states = kept * (1 - state.offloaded) * (count.dense / shards[0] + count.expert / shards[1])
        return (count.total * ((1 if state.fp8_weights else 2) + state.grad_bytes) + states) / grid.pp
