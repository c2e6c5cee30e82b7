"""Exit codes, one way everywhere: an end by signal N is 128 + N, as a shell has it."""


def as_in_a_shell(code: int) -> int:
    """Python's subprocess and torchrun write -N for an end by signal N."""
    return 128 - code if code < 0 else code
