"""What each Megatron release's own command line accepts: `load("0.19").option("--num-experts")`."""

from harness.config.release import EMBEDDED_RELEASE, Release
from harness.config.releases.catalogue import Catalogue, Option, elsewhere, known, load, parse, releases_with
from harness.config.releases.values import check

__all__ = [
    "EMBEDDED_RELEASE",
    "Catalogue",
    "Option",
    "Release",
    "check",
    "elsewhere",
    "known",
    "load",
    "parse",
    "releases_with",
]
