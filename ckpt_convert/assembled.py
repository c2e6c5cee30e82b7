"""The output tensors of a conversion, read as if they were there already."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from ckpt_convert.assembly import Assembly, Part
from ckpt_convert.tensors import Rows, TensorInfo, TensorSource


class AssembledSource:
    """A `TensorSource` whose tensors are assemblies of another source's rows, of the same number format."""

    def __init__(self, assemblies: Iterable[Assembly], source: TensorSource) -> None:
        """Nothing is read yet."""
        self._source = source
        self._assemblies = {assembly.name: assembly for assembly in assemblies}
        self.tensors: Mapping[str, TensorInfo] = {name: it.info for name, it in self._assemblies.items()}
        self._starts = {
            name: list(accumulate((part.rows for part in assembly.parts), initial=0))
            for name, assembly in self._assemblies.items()
        }

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out` from the parts that its rows lie in."""
        filled = 0
        for part in self._parts(name, first, len(out)):
            rows = out[filled : filled + part.rows]
            if part.source is None:
                rows.fill(0)
            else:
                self._source.read_rows(part.source, part.first, rows)
            filled += part.rows

    def _parts(self, name: str, first: int, count: int) -> Iterator[Part]:
        """The runs of source rows that make up rows [first, first + count)."""
        parts, starts = self._assemblies[name].parts, self._starts[name]
        index = bisect_right(starts, first) - 1
        while count > 0:
            part, skipped = parts[index], first - starts[index]
            rows = min(part.rows - skipped, count)
            yield Part(source=part.source, first=part.first + skipped, rows=rows)
            first, count, index = first + rows, count - rows, index + 1
