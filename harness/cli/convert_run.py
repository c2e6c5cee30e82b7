"""Plan one conversion and show it, then carry it out or submit it to Slurm."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click

from ckpt_convert.conversion import Conversion, Folder, TargetFormat, convert, open_folder, plan_conversion
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.limits import limits
from ckpt_convert.tensors import Dtype
from ckpt_convert.writing.partial import has_entries
from ckpt_convert.writing.progress import Both, progress_on
from ckpt_convert.writing.write import require_free
from harness.checkpoint.files import CheckpointFormat
from harness.cli import screen
from harness.cli.convert_job import convert_recorded, submit_conversion
from harness.cli.convert_model import other_model
from harness.cli.convert_shown import show_flags, show_plan, show_releases, show_tensors
from harness.config.releases import Release, load
from harness.conversion.statements import ConversionStatements
from harness.errors import ConfigError
from harness.runs.in_process_run import WriteLine

TARGETS: Mapping[str, TargetFormat] = {
    "torch_dist": CheckpointFormat.TORCH_DIST,
    "hugging-face": CheckpointFormat.HUGGING_FACE,
}
DTYPES = {"bf16": Dtype.BF16, "fp16": Dtype.F16, "fp32": Dtype.F32}


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """The options of `convert run`, beside its folders."""

    to: str | None
    dtype: str | None
    release: str | None
    exact: bool
    spec: Literal["te", "local"]
    tp: int

    @property
    def target_release(self) -> Release | None:
        """The release, however it was written. ConfigError where it is unknown."""
        return None if self.release is None else load(self.release).release

    def form(self) -> Exact | None:
        """The exact form asked for, if one is."""
        release = self.target_release
        if not self.exact:
            return None
        if release is None:
            raise ConfigError("--exact writes what one release asks for; name it: --target-release R, e.g. 0.16")
        return Exact(release=release, spec=self.spec, tp=self.tp)

    def arguments(self) -> list[str]:
        """The same options as a command line."""
        given = {"--to": self.to, "--dtype": self.dtype, "--target-release": self.release}
        arguments = [f"{option}={value}" for option, value in given.items() if value]
        return [*arguments, "--exact", f"--spec={self.spec}", f"--tp={self.tp}"] if self.exact else arguments


def run(
    source: Path, target: Path, options: ConvertOptions, *, threads: int, resume: bool, dry_run: bool, in_job: bool
) -> None:
    """Plan, show, and unless it is a dry run write: as a run with a record, or as the program of a job that has one."""
    with open_folder(source) as folder:
        conversion = _planned(folder, options)
        if dry_run:
            click.echo(show_plan(conversion.facts, target))
            click.echo(show_tensors(conversion))
            return

        def convert_stated(write: WriteLine) -> None:
            facts = replace(conversion.facts, source=str(Path(conversion.facts.source).absolute()))
            stated = ConversionStatements(write, facts, str(target.absolute()))
            shown = stated if in_job else Both(progress_on(sys.stderr), stated)
            convert(conversion, target, resume=resume, threads=threads, progress=shown)
            stated.done()

        screen.progress(show_plan(conversion.facts, target))
        if in_job:
            convert_stated(click.echo)
        else:
            arguments = job_arguments(source, target, options, threads=threads)
            if not resume:
                require_free(target)
            convert_recorded(target, arguments, convert_stated, threads=threads)
        _show_done(conversion, target)


def _show_done(conversion: Conversion, target: Path) -> None:
    click.echo(f"{target}: done, with the SHA-256 of every file in integrity.json")
    if conversion.to is CheckpointFormat.TORCH_DIST:
        click.echo(f"train from it: LOAD_PATH={target.absolute()}, with the Megatron flags that go with the weights:")
        click.echo(show_flags(conversion.model))


def submit(source: Path, target: Path, options: ConvertOptions, *, threads: int, dry_run: bool) -> int:
    """Submit the same command to Slurm; a job resumes what an earlier one left."""
    _check_before_queue(source, target, options)
    arguments = job_arguments(source, target, options, threads=threads)
    return submit_conversion(target, arguments, threads=threads, dry_run=dry_run)


def job_arguments(source: Path, target: Path, options: ConvertOptions, *, threads: int) -> list[str]:
    """The arguments of a job's program: it resumes what an earlier start left."""
    folders = (str(source.absolute()), str(target.absolute()))
    return [*folders, "--resume", f"--threads={threads}", *options.arguments()]


def _check_before_queue(source: Path, target: Path, options: ConvertOptions) -> None:
    """Report now what is wrong, as far as this machine sees the folders, rather than when the job runs."""
    options.form()
    if has_entries(target):
        raise ConfigError(f"{target}: exists already; remove it or choose another target")
    if not source.exists():
        screen.notice(f"{source} is not there (unless the compute nodes see it)")
        return
    with open_folder(source) as folder:
        _planned(folder, options)


def _planned(source: Folder, options: ConvertOptions) -> Conversion:
    form = options.form()
    dtype = DTYPES[options.dtype] if options.dtype else None
    to = TARGETS[options.to] if options.to else None
    conversion = plan_conversion(source, to=to, dtype=dtype, exact=form)
    if difference := other_model(conversion.model):
        screen.notice(difference)
    for limit in limits(conversion.model):
        if options.target_release is None or str(options.target_release) in limit.releases:
            screen.notice(f"Megatron {show_releases(limit.releases)}: {limit.text}")
    return conversion
