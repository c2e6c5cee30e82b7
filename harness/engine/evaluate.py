"""Entry point of a rank: evaluate checkpoints, one after the other, under torchrun.

    python -m harness.engine.evaluate SPEC <Megatron's arguments>

SPEC is an EvaluationSpec as JSON, or the path of a file of it. The model is built once; what has a result already is
not measured again. The first rank writes results and states them in the log. A rank that fails ends all; what is
finished is kept.
"""

import json
import sys
from pathlib import Path

from harness.engine import entry
from harness.errors import ConfigError
from harness.evaluation.spec import EvaluationSpec
from harness.runs.json_codec import Mismatch, decode

_USAGE = "python -m harness.engine.evaluate SPEC <Megatron's arguments>"


def main() -> None:
    """Evaluate, and end the process."""
    entry.run(_evaluate)


def _evaluate() -> None:
    spec = _own_argument()
    on_cpu = entry.install_device()
    from harness.engine.series import evaluate_series

    evaluate_series(spec, on_cpu=on_cpu)


def _own_argument() -> EvaluationSpec:
    """The leading argument, taken out of the command line: the rest is Megatron's."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("--"):
        raise ConfigError(f"engine: what to evaluate comes first; usage: {_USAGE}")
    argument = sys.argv.pop(1)
    try:
        text = argument if argument.lstrip().startswith("{") else Path(argument).read_text(encoding="utf-8")
        spec: EvaluationSpec = decode(EvaluationSpec, json.loads(text))
    except OSError as error:
        raise ConfigError(f"engine: cannot read {argument} ({error.strerror}); usage: {_USAGE}") from None
    except (Mismatch, ValueError) as error:
        raise ConfigError(f"engine: {argument[:80]} is no EvaluationSpec as JSON: {error}") from None
    return spec


if __name__ == "__main__":
    main()
