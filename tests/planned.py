"""Configurations as verbs that predict resolve them: the full model on a cluster of the template."""

from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.sources import resolve_request

AS_PLANNED = ("PROXY=none", "DATASET=mock", "PRETRAIN=1")


def planned(*words: str, extra: tuple[str, ...] = ()) -> Resolved:
    """What these words come to beside `AS_PLANNED`, which they may say otherwise."""
    request = Request(arguments=(*AS_PLANNED, *words), extra=extra, default_cluster="template", executor="slurm")
    return resolve_request(request, Roots.standard())
