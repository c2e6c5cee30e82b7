"""`moe-harness runs gate`: whether a run is as good as a baseline."""

import json
from importlib.util import find_spec
from pathlib import Path

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT, reconciled_runs, run_of
from harness.compare.tolerance import parse_tolerances
from harness.errors import EnvironmentProblem


@click.command("gate")
@click.argument("run", metavar="RUN")
@click.option(
    "--baseline", "name", required=True, metavar="NAME|FILE", help="A file, or NAME of baselines/NAME.json here."
)
@click.option(
    "--tolerance",
    "tolerances",
    metavar="FIGURE=SHARE,…",
    help="By how much it may be worse: step_s=5%,memory=10%,loss=1% without this; off leaves a figure out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@ROOT
def command(run: str, name: str, tolerances: str | None, as_json: bool, root: Path) -> int:
    """Tell whether a run has regressed against a baseline, beyond the noise and the tolerances.

    Exit codes: 0 passed; 1 regressed; 2 not begun, for what you wrote; 3 inconclusive: these samples cannot tell.
    """
    _require_scipy()
    from harness.compare.baseline import find_baseline, read_baseline
    from harness.compare.gate import EXIT_CODES, gate_run
    from harness.report.text.gate_verdict import ONE_RUN, show_verdict, verdict_data

    allowed = parse_tolerances(tolerances)
    baseline = read_baseline(find_baseline(name))
    (found,), _ = reconciled_runs([run_of(root, run)])
    verdict = gate_run(found, baseline, allowed)
    click.echo(json.dumps(verdict_data(verdict), indent=2, ensure_ascii=False) if as_json else show_verdict(verdict))
    if len(baseline.runs) == 1:
        screen.notice(ONE_RUN)
    return EXIT_CODES[verdict.outcome]


def _require_scipy() -> None:
    if find_spec("scipy") is None:
        raise EnvironmentProblem(
            "runs gate needs scipy; run tools/setup.sh plan in a checkout, or pip install 'moe-harness[plan]'"
        )
