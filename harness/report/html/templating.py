"""Pages from Jinja2's templates, whatever a value holds escaped: one shell, its style and its script.

A page is one file that asks no network for anything. Its scripts are named by their hashes in a policy that the browser
keeps to, so that nothing else runs in it, were it to get through.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.html.page_chart import PageChart
from harness.report.html.requirement import require_pages
from harness.report.html.routing_map import RoutingMap
from harness.report.html.run_style import RUN_COLOURS, RUN_DASHES
from harness.report.html.scatter import Dot

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_BYTES = 1_000_000
"""No page is larger."""
_HERE = Path(__file__).parent
TEMPLATES, UPLOT = _HERE / "templates", _HERE / "vendor" / "uplot"
_SAFE = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def render_page(
    template: str,
    *,
    title: str,
    made: str,
    charts: Sequence[PageChart] = (),
    maps: Sequence[RoutingMap] = (),
    dots: Sequence[Dot] = (),
    **values: Any,
) -> str:
    """The page of a template. `made` is when; its script draws the `charts`, and tells what is in `maps` and `dots`.

    EnvironmentProblem without Jinja2.

    A page without charts holds no library to draw them.
    """
    scripts = [_read(TEMPLATES / "page.js")]
    if charts:
        scripts = [_read(UPLOT / "uPlot.iife.min.js"), *scripts]
    style = _read(TEMPLATES / "page.css")
    text: str = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            made=made,
            version=version("moe-harness"),
            style=f"{_read(UPLOT / 'uPlot.min.css')}\n{style}" if charts else style,
            scripts=scripts,
            policy=_policy(scripts),
            data=page_data(
                {
                    "charts": [chart.data for chart in charts],
                    "maps": [found.data for found in maps],
                    "dots": [[round(dot.x, 3), round(dot.y, 1), dot.text] for dot in dots],
                    "colours": len(RUN_COLOURS["light"]),
                    "dashes": RUN_DASHES,
                }
            ),
            maps=maps,
            colours=RUN_COLOURS,
            **values,
        )
    )
    return text


def page_data(value: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element: no text in it ends that. ValueError for NaN, which is None in pages."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_SAFE)


def _policy(scripts: list[str]) -> str:
    """Nothing is fetched, and no script runs but these."""
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"


@cache
def _environment() -> "Environment":
    require_pages("a page")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
