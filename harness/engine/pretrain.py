"""Entry point of a training rank: `python -m harness.engine.pretrain <Megatron's arguments>` under torchrun."""

from harness.engine import entry


def main() -> None:
    """Train, and end the process."""
    entry.run(_train)


def _train() -> None:
    on_cpu = entry.install_device()
    from harness.engine.training import train

    train(on_cpu=on_cpu)


if __name__ == "__main__":
    main()
