"""One step of a run as a line."""

from harness.runs.kind import Step


def step_text(step: Step) -> str:
    """`step 3/50  loss 8.1234  27.2 s  310.1 TFLOP/s/GPU  1,204 tokens/s/GPU`."""
    return f"{step.unit} {step.number}/{step.total}  {step.text}"
