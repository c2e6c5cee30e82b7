"""`moe-harness releases`: the Megatron releases whose command lines are known."""

from pathlib import Path

import click

from harness.config.releases import known, load


@click.group("releases")
def command() -> None:
    """The Megatron releases whose flags are known."""


@command.command("list")
def list_releases() -> None:
    """Each release with the number of its command-line options."""
    for release in known():
        catalogue = load(release)
        click.echo(f"{release!s:<6} {catalogue.version:<8} {len(catalogue.options)} options")


@command.command("dump")
@click.option(
    "--megatron-path", type=click.Path(path_type=Path), help="A Megatron-LM checkout; default: the installed wheel."
)
def dump_release(megatron_path: Path | None) -> None:
    """Print a catalogue, as JSON, from Megatron's own argument parser."""
    from harness.config.releases.dump import dump

    click.echo(dump(megatron_path), nl=False)
