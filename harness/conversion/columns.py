"""The flat figures of a conversion: its columns among all runs."""

from collections.abc import Mapping
from typing import Any

from harness.config.provenance import Resolved
from harness.conversion.result import ConversionResult

CONVERSION_TYPES = {
    "source": "VARCHAR",
    "target": "VARCHAR",
    "written_bytes": "BIGINT",
    "total_bytes": "BIGINT",
    "bytes_per_s": "DOUBLE",
    "elapsed_s": "DOUBLE",
}


def conversion_columns(_resolved: Resolved, result: ConversionResult | None) -> Mapping[str, Any]:
    """The values by column. A conversion has no GPUs."""
    facts = result.facts if result else None
    return {
        "gpus": None,
        "source": facts.source if facts else None,
        "target": result.target if result else None,
        "written_bytes": result.done_bytes if result else None,
        "total_bytes": result.total_bytes if result else None,
        "bytes_per_s": result.bytes_per_s if result else None,
        "elapsed_s": result.elapsed_s if result else None,
    }
