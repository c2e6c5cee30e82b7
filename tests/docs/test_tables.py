"""What the pages list is what there is."""

import re
import tomllib
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import click
import pytest
from doc_pages import REPOSITORY, blocks, pages, read, row, table

from harness.arch.model import model_arch
from harness.arch.parameters import count_parameters
from harness.cli.main import VERBS, cli
from harness.config import rules
from harness.config.layers import LAYER_ORDER
from harness.config.provenance import Resolved
from harness.config.schema import SETTINGS, Setting
from harness.training.summary import WINDOW_RULE
from harness.units import show_count

CONFIGURE = Path("docs/configure.md")


def test_settings_table_is_the_schema() -> None:
    expected = [[f"`{it.name}`", allowed(it), default(it), it.help] for it in SETTINGS.values()]
    assert_table("Settings", ["setting", "allowed", "default", "meaning"], expected)


def test_rules_table_is_the_rules() -> None:
    in_order = (*rules.BEFORE_FLAGS, *rules.RULES)
    expected = [[rule.__name__.replace("_", "-"), str(rule.__doc__).splitlines()[0]] for rule in in_order]
    assert_table("Rules", ["rule", "what it says"], expected)


def test_layers_are_listed_in_their_order() -> None:
    assert tuple(re.findall(r"^\d+\. \*\*(.+?)\*\*", read(CONFIGURE), re.MULTILINE)) == LAYER_ORDER


def test_dependencies_page_lists_what_pyproject_lists() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    page = read(Path("docs/dependencies.md"))
    required = {"The command": project["dependencies"], **{f"Extra `{name}`": extras[name] for name in extras}}
    for heading, requirements in required.items():
        names = {re.split(r"[\[<>=!~;]", requirement)[0] for requirement in requirements} - {"moe-harness"}
        assert {cells[0] for cells in table(page, heading)} == names, heading


def test_verbs_in_the_pages_exist() -> None:
    sources = (path for path in (REPOSITORY / "harness").rglob("*.*") if path.suffix in (".py", ".yaml"))
    texts = [*map(read, pages()), *(path.read_text() for path in sources)]
    named = {words for text in texts for words in re.findall(r"`moe-harness ([a-z]+)(?: ([a-z]+)\b)?", text)}
    assert {(verb, sub) for verb, sub in named if not is_verb(verb, sub)} == set()


def is_verb(verb: str, sub: str) -> bool:
    """Whether there is `moe-harness VERB SUB`; of a verb without verbs of its own the second word may be anything."""
    found = cli.get_command(click.Context(cli), verb)
    if not isinstance(found, click.Group):
        return found is not None
    return not sub or found.get_command(click.Context(found), sub) is not None


def test_every_verb_is_run_by_a_page() -> None:
    run = [block.text for page in pages() for block in blocks(read(page)) if block.language == "bash"]
    assert [verb for verb in VERBS if f"moe-harness {verb}" not in "\n".join(run)] == []


def test_development_page_lists_the_makefile() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert phony
    listed = set(re.findall(r"^\| `make ([a-z-]+)`", read(Path("docs/development.md")), re.MULTILINE))
    assert listed == set(phony[1].split())


def test_engine_page_lists_the_engines_files() -> None:
    listed_rows = [line for line in read(Path("docs/engine.md")).splitlines() if line.startswith("| `")]
    patterns = re.findall(r"`([\w*]+\.py)`", "".join(listed_rows))
    engine = REPOSITORY / "harness/engine"
    listed = set(chain.from_iterable(engine.glob(pattern) for pattern in patterns))
    assert listed == set(engine.glob("*.py")) - {engine / "__init__.py"}


def test_results_page_states_the_warm_up_rule() -> None:
    assert WINDOW_RULE in read(Path("docs/results.md"))


@pytest.mark.parametrize(("words", "column"), [(("PROXY=none",), 1), ((), 2)])
def test_models_page_counts_the_parameters_of_model_and_proxy(
    resolve: Callable[..., Resolved], words: Sequence[str], column: int
) -> None:
    flags = resolve("MODEL=DeepSeek-V3", "DATASET=mock", *words).megatron_args
    counted = table(read(Path("docs/models.md")), "Proxies")[-1][column]
    assert counted == show_count(count_parameters(model_arch(flags, "DeepSeek-V3")).total)


def allowed(setting: Setting) -> str:
    """What may be written, in a few words."""
    if setting.choices:
        return " | ".join(setting.choices)
    if setting.kind == "int":
        return f"{setting.least} or more"
    kinds = {"text": "text", "path": "a path", "name": "a name or a path", "switch": "0 | 1"}
    return {**kinds, "time": "a time", "version": "a version", "number": "a number above 0"}[setting.kind]


def default(setting: Setting) -> str:
    """The built-in default as one would write it."""
    if setting.default is None:
        return ""
    return str(int(setting.default)) if isinstance(setting.default, bool) else str(setting.default)


def assert_table(heading: str, head: list[str], expected: list[list[str]]) -> None:
    """The table under a heading of docs/configure.md has exactly these rows; else the message is the right table."""
    lines = [row(*head), f"|{'---|' * len(head)}", *(row(*cells) for cells in expected)]
    assert "\n".join(lines) in read(CONFIGURE), f"## {heading} of {CONFIGURE} must be:\n\n" + "\n".join(lines)
