"""Tensors that lie in boxes: parts of any shape, each row after row in a file, which together are the tensor.

A box is what a rank saved: rows of a matrix, some of its columns, some of the experts, some of the layers. It keeps its
place while the tensor around it is renamed, cut into layers, stacked or put under another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from ckpt_convert.tensors import Dtype, TensorInfo
from harness.checkpoint.torch_save.box import Box


@dataclass(frozen=True, kw_only=True, slots=True)
class BoxedTensor:
    """A tensor and the boxes it lies in."""

    dtype: Dtype
    shape: tuple[int, ...]
    boxes: tuple[Box, ...]

    @property
    def info(self) -> TensorInfo:
        """The tensor's number format and shape."""
        return TensorInfo(dtype=self.dtype, shape=self.shape)


def slices(tensor: BoxedTensor) -> tuple[BoxedTensor, ...]:
    """The tensors along the first axis."""
    found: list[list[Box]] = [[] for _ in range(tensor.shape[0])]
    for box in tensor.boxes:
        size = prod(box.sizes[1:])
        for step in range(box.sizes[0]):
            part = Box(
                offsets=box.offsets[1:], sizes=box.sizes[1:], location=box.location, first=box.first + step * size
            )
            found[box.offsets[0] + step].append(part)
    return tuple(BoxedTensor(dtype=tensor.dtype, shape=tensor.shape[1:], boxes=tuple(boxes)) for boxes in found)


def stack(tensors: Sequence[BoxedTensor]) -> BoxedTensor:
    """Tensors of one shape on a new first axis."""
    boxes = tuple(
        replace(box, offsets=(index, *box.offsets), sizes=(1, *box.sizes))
        for index, tensor in enumerate(tensors)
        for box in tensor.boxes
    )
    return BoxedTensor(dtype=tensors[0].dtype, shape=(len(tensors), *tensors[0].shape), boxes=boxes)


def concatenate(upper: BoxedTensor, lower: BoxedTensor) -> BoxedTensor:
    """The rows of one tensor, then those of the other; all further axes are alike."""
    height = upper.shape[0]
    moved = tuple(replace(box, offsets=(box.offsets[0] + height, *box.offsets[1:])) for box in lower.boxes)
    shape = (height + lower.shape[0], *upper.shape[1:])
    return BoxedTensor(dtype=upper.dtype, shape=shape, boxes=upper.boxes + moved)


def uncovered(tensor: BoxedTensor) -> str | None:
    """Where the boxes leave a hole in the tensor, overlap or stick out of it; None where they cover it exactly."""
    spans = [
        tuple((offset, offset + size) for offset, size in zip(box.offsets, box.sizes, strict=True))
        for box in tensor.boxes
        if all(box.sizes)
    ]
    for span in spans:
        if any(low < 0 or high > size for (low, high), size in zip(span, tensor.shape, strict=True)):
            return f"a part from {[low for low, _ in span]} to {[high for _, high in span]} sticks out of it"
    return _flaw(spans, tensor.shape, ()) if prod(tensor.shape) else None


type _Span = tuple[tuple[int, int], ...]  # from and to, an axis


def _flaw(spans: Sequence[_Span], shape: tuple[int, ...], corner: tuple[int, ...]) -> str | None:
    """Cut the next axis wherever a box begins or ends: between two cuts, the same boxes lie over every index."""
    axis = len(corner)
    if axis == len(shape):
        if len(spans) == 1:
            return None
        return f"{len(spans)} parts overlap at {list(corner)}" if spans else f"no part holds {list(corner)}"
    cuts = sorted({0, shape[axis], *(bound for span in spans for bound in span[axis])})
    slab_of = {cut: number for number, cut in enumerate(cuts)}
    slabs: list[list[_Span]] = [[] for _ in pairwise(cuts)]
    for span in spans:
        for number in range(slab_of[span[axis][0]], slab_of[span[axis][1]]):
            slabs[number].append(span)
    flaws = (_flaw(slab, shape, (*corner, cut)) for slab, cut in zip(slabs, cuts, strict=False))
    return next(filter(None, flaws), None)
