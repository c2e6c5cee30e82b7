"""`moe-harness data`: training data from text."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.units import show_bytes


@click.group("data")
def command() -> None:
    """Make training data from text."""


@command.command("prepare")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output", "prefix", required=True, type=click.Path(path_type=Path), help="PREFIX of the files to write."
)
@click.option("--tokenizer", type=click.Path(path_type=Path), help="A Hugging Face tokenizer's folder; default: bytes.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def prepare_data(files: Sequence[Path], prefix: Path, tokenizer: Path | None, overwrite: bool) -> None:
    """Make Megatron's PREFIX_text_document.bin and .idx from text files.

    A .jsonl file holds one document a line, under the key `text`; any other file is one document.
    """
    from harness.data.prepare import prepare
    from harness.data.tokenizers import load_tokenizer

    done = prepare(files, prefix, tokenizer=load_tokenizer(tokenizer), overwrite=overwrite)
    click.echo(f"{done.documents} documents, {done.tokens} tokens from {show_bytes(done.text_bytes)} of text")
    if done.empty_documents:
        click.echo(f"{done.empty_documents} empty documents left out")
    click.echo(f"DATA_PATH={done.prefix}")
