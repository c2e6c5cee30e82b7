"""`python -m harness` is `moe-harness`."""

from harness.cli.main import main

main()
