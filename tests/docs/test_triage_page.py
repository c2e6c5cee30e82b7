"""docs/triage.md tells what the signatures say, and the causes beside them."""

from pathlib import Path

from doc_pages import read, row

from harness.runs.record import Cause
from harness.runs.triage.internal_causes import INTERNAL_CAUSES
from harness.runs.triage.signatures import Signature, signatures

PAGE = Path("docs/triage.md")
HEADINGS = {"permanent": "It would fail again", "transient": "It passes by itself", "aftermath": "What is left to say"}


def rows(kinds: set[str]) -> list[str]:
    """The table of the signatures of these kinds."""
    chosen = [it for it in signatures() if it.kind in kinds]
    return [row("cause", "what it means", "what to change"), "|---|---|---|", *map(told, chosen)]


def told(signature: Signature | Cause) -> str:
    """One row of a table."""
    return row(f"`{signature.name}`", signature.text, signature.change)


def test_the_tables_are_the_causes() -> None:
    kinds = {"permanent": {"permanent", "exception"}, "transient": {"transient"}, "aftermath": {"aftermath"}}
    expected = [f"## {HEADINGS[kind]}\n\n" + "\n".join(rows(kinds[kind])) for kind in kinds]
    expected.append(
        "\n".join([row("cause", "what it means", "what to change"), "|---|---|---|", *map(told, INTERNAL_CAUSES)])
    )
    missing = [section for section in expected if section not in read(PAGE)]
    assert not missing, f"{PAGE} must have:\n\n" + "\n\n".join(missing)
