"""What an output file consists of: bytes that are known, and rows of tensors that are read when it is written."""

from collections.abc import Iterator
from dataclasses import dataclass

from ckpt_convert.tensors import TensorInfo
from ckpt_convert.writing.torch_zip import tensor_head, tensor_tail


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSlice:
    """The rows of the output tensor `name` from `first` on; `info` is their number format and the shape they are given.

    A `framed` slice is an archive of its own that torch.load reads: what is around the rows depends on their CRC.
    """

    name: str
    first: int
    info: TensorInfo
    framed: bool

    @property
    def size_bytes(self) -> int:
        """Bytes in the file, the frame's included."""
        frame = len(self.head()) + len(self.tail(0)) if self.framed else 0
        return frame + self.info.size_bytes

    def head(self) -> bytes:
        """What stands before the rows."""
        return tensor_head(self.info) if self.framed else b""

    def tail(self, crc: int) -> bytes:
        """What follows the rows, whose CRC-32 is `crc`."""
        return tensor_tail(self.info, crc) if self.framed else b""


type FilePart = bytes | TensorSlice


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file: its path in the output folder, its size, and its bytes in order."""

    name: str
    size_bytes: int
    pieces: tuple[FilePart, ...]

    @property
    def has_tensors(self) -> bool:
        """Whether it holds weights."""
        return any(isinstance(piece, TensorSlice) for piece in self.pieces)

    def slices(self) -> Iterator[TensorSlice]:
        """The weights in it."""
        return (piece for piece in self.pieces if isinstance(piece, TensorSlice))


def literal_file(name: str, content: bytes) -> OutputFile:
    """A file whose bytes are all known."""
    return OutputFile(name=name, size_bytes=len(content), pieces=(content,))
