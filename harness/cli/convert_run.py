"""One conversion, as the command line asks for it: shown, then carried out or handed to Slurm."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from ckpt_convert.conversion import Conversion, Format, convert, open_folder, plan_conversion
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.limits import limits
from ckpt_convert.tensors import Dtype
from ckpt_convert.writing.progress import progress_on
from harness.cli import screen
from harness.cli.convert_shown import show_flags, show_plan, show_releases, show_tensors
from harness.config.releases import load
from harness.errors import ConfigError
from harness.launch.task import render_task

DTYPES = {"bf16": Dtype.BF16, "fp16": Dtype.F16, "fp32": Dtype.F32}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user asked of a conversion, beside its folders."""

    to: Format | None
    dtype: str | None
    release: str | None
    exact: bool
    spec: str
    tp: int

    def form(self) -> Exact | None:
        """The exact form asked for, if one is."""
        if not self.exact:
            return None
        if self.release is None:
            raise ConfigError("--exact writes what one release asks for; name it: --target-release R, e.g. 0.16")
        major, minor = load(self.release).release.split(".")[:2]
        return Exact(release=(int(major), int(minor)), spec="te" if self.spec == "te" else "local", tp=self.tp)

    def words(self) -> list[str]:
        """The same wish as a command line."""
        given = {"--to": self.to, "--dtype": self.dtype, "--target-release": self.release}
        words = [f"{option}={value}" for option, value in given.items() if value]
        return [*words, "--exact", f"--spec={self.spec}", f"--tp={self.tp}"] if self.exact else words


def run(source: Path, target: Path, wish: Wish, *, threads: int, resume: bool, dry_run: bool) -> None:
    """Plan, show, and unless it is a dry run write."""
    conversion = _planned(source, wish)
    if dry_run:
        click.echo(show_plan(conversion, target))
        click.echo(show_tensors(conversion))
        return
    screen.progress(show_plan(conversion, target))
    convert(conversion, target, resume=resume, threads=threads, progress=progress_on(sys.stderr))
    click.echo(f"{target}: done, with the SHA-256 of every file in integrity.json")
    if conversion.to == "torch_dist":
        click.echo(f"train from it: LOAD_PATH={target.absolute()}, with the Megatron flags that go with the weights:")
        click.echo(show_flags(conversion.model))


def submit(ctx: click.Context, source: Path, target: Path, wish: Wish, *, threads: int, dry_run: bool) -> None:
    """Submit the same command to Slurm; a job resumes what an earlier one left."""
    from harness.cli.convert_job import plan_job, submit_job

    wish.form()  # a mistake in it is better said before the queue than after
    words = [str(source.absolute()), str(target.absolute()), "--resume", f"--threads={threads}", *wish.words()]
    job = plan_job(ctx, target.name, words, threads=threads)
    if dry_run:
        click.echo(render_task(job.spec), nl=False)
    else:
        submit_job(job)


def _planned(source: Path, wish: Wish) -> Conversion:
    form = wish.form()
    dtype = DTYPES[wish.dtype] if wish.dtype else None
    conversion = plan_conversion(open_folder(source), to=wish.to, dtype=dtype, exact=form)
    for limit in limits(conversion.model):
        if wish.release is None or wish.release in limit.releases:
            screen.notice(f"Megatron {show_releases(limit.releases)}: {limit.text}")
    return conversion
