"""Rules of the container."""

from collections.abc import Iterator

from harness.config.directives import Directive, Notice
from harness.config.draft import Draft


def runtime(draft: Draft) -> Iterator[Directive]:
    """CONTAINER_RUNTIME = pyxis | enroot | none: who starts the image under Slurm."""
    if draft.text("CONTAINER_RUNTIME") == "none" and (image := draft.text("CONTAINER_IMAGE")):
        yield Notice(
            text=f"CONTAINER_RUNTIME=none: the job runs on the bare nodes, and CONTAINER_IMAGE={image} is not used"
        )
