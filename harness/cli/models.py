"""`moe-harness models`: the models there are, with their sizes and preset mappings."""

import click

from harness.arch.model import model_arch
from harness.arch.parameters import published_parameters
from harness.cli import screen
from harness.config.conf_files import ConfFiles
from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.sources import read_configuration
from harness.cost.flops import Counting, megatron_flops_per_token
from harness.errors import ConfigError
from harness.report.text.plain_table import plain_table
from harness.units import GIGA, show_count

_MAPPING = ("TP", "PP", "EP", "CP", "VPP", "MBS", "GBS", "NNODES")
_CONVENTIONS = f"""
total, active: parameters as the publisher counts them; docs/models.md says what that takes in
GFLOP/token: training on one token at the preset SEQ_LEN, with MTP where the preset trains it
{Counting.MEGATRON.value}"""
_AS_PUBLISHED = ("PROXY=none", "DATASET=mock", "PRETRAIN=1")


@click.command("models")
def command() -> None:
    """The models there are: parameters as their publishers count them, FLOPs, layers, and the preset mapping."""
    confs = ConfFiles(Roots.standard())
    rows = [_row(name, confs) for name in confs.models]
    click.echo(plain_table(rows, headers=["model", "total", "active", "GFLOP/token", "layers", *_MAPPING]))
    click.echo(_CONVENTIONS)


def _row(name: str, confs: ConfFiles) -> list[str]:
    request = Request(arguments=(f"MODEL={name}", *_AS_PUBLISHED), default_cluster="template")
    try:
        resolved = read_configuration(request, confs).resolved()
        arch = model_arch(resolved.megatron_args, name)
    except ConfigError as error:
        screen.notice(f"{name}: {error}")
        return [name]
    count = published_parameters(arch)
    flops = megatron_flops_per_token(arch, seq_len=resolved.megatron_args.integer("--seq-length"))
    return [name, show_count(count.total), show_count(count.active), f"{flops / GIGA:.1f}", *_settings(resolved)]


def _settings(resolved: Resolved) -> list[str]:
    return [resolved.text(name) for name in ("NUM_LAYERS", *_MAPPING)]
