"""`moe-harness runs watch`, and what SUBMIT_WAIT=1 does after a submission."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli import screen
from harness.cli.main import STOPPED
from harness.cli.run_lookup import EVERY, EVERY_S, ROOT, runs_of, unfinished
from harness.cli.steps import Steps, print_above_bars
from harness.report.text.event import event_text
from harness.report.text.run_result import show_result
from harness.runs.cancellation import can_be_ended_here
from harness.runs.root import named
from harness.runs.store import StoredRun
from harness.runs.submission import cancel_never_starting
from harness.runs.watch.watch import Ended, Event, NeverStarts, SlurmSilent, Stepped, watch


@click.command("watch")
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@ROOT
@EVERY
def command(runs: Sequence[str], root: Path, every_s: float) -> int:
    """Follow runs until they have ended: by id, the beginning of an id, folder or Slurm job id; without, all.

    Ctrl-C stops the watching, not the runs.
    """
    found = runs_of(root, runs) if runs else unfinished(root)
    if not found:
        click.echo(f"no run in {root} is under way")
        return 0
    return follow(found, every_s=every_s)


def follow(runs: Sequence[StoredRun], *, every_s: float = EVERY_S, patient: bool = False, cancels: bool = False) -> int:
    """Follow runs to their ends; 0 if all completed, 1 if not, 130 if Ctrl-C ended the watching.

    Jobs that can never start are followed too if it is `patient`, and else left, or cancelled if it `cancels`.
    """
    views = _views(runs)
    ended: dict[str, StoredRun] = {}
    try:
        for event in watch(runs, every_s=every_s, patient=patient):
            if isinstance(event, NeverStarts) and cancels:
                ended[event.run.record.run_id], text = cancel_never_starting(event.run, event.job, event.reason)
                screen.error(text)
                continue
            _show(event, views)
            if isinstance(event, Ended | NeverStarts):
                ended[event.run.record.run_id] = event.run
    except KeyboardInterrupt:
        _close(views)
        _show_unfinished([run for run in runs if run.record.run_id not in ended])
        return STOPPED
    finally:
        _close(views)
    click.echo("\n\n".join(show_result(ended[run.record.run_id]) for run in runs))
    done = all(run.record.status == "completed" and not run.problem for run in ended.values())
    return 0 if done else 1


def _views(runs: Sequence[StoredRun]) -> dict[str, Steps]:
    return {
        run.record.run_id: Steps(name=run.record.run_id if len(runs) > 1 else "", position=position)
        for position, run in enumerate(runs)
    }


def _show(event: Event, views: dict[str, Steps]) -> None:
    if isinstance(event, SlurmSilent):
        print_above_bars(event_text(event))
        return
    view = views[event.run.record.run_id]
    if isinstance(event, Stepped):
        view.show(event.step)
    elif isinstance(event, Ended):
        view.close()
    else:
        view.print(event_text(event))


def _close(views: dict[str, Steps]) -> None:
    for view in views.values():
        view.close()


def _show_unfinished(runs: Sequence[StoredRun]) -> None:
    for run in runs:
        name = named(run.folder)
        end = f", runs cancel {name} ends it" if can_be_ended_here(run) else ""
        screen.notice(f"{run.record.run_id} goes on; moe-harness runs watch {name} follows it again{end}")
