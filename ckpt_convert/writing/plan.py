"""The plan of an output folder: every file, its size, the place of every byte. Nothing is read or written for it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from ckpt_convert.assembly import Assembly
from ckpt_convert.blueprint import HuggingFaceBlueprint, MegatronBlueprint
from ckpt_convert.integrity import MANIFEST
from ckpt_convert.writing.files import OutputFile, literal_file
from ckpt_convert.writing.hugging_face import hugging_face_files
from ckpt_convert.writing.torch_dist import torch_dist_files, tracker
from harness.checkpoint.files import RELEASE

_LAYOUT_VERSION = "1"  # raised when an equal plan gives other bytes: an older conversion is then not gone on with


@dataclass(frozen=True, kw_only=True)
class OutputPlan:
    """`files` are written first and listed in `manifest` with their SHA-256; `seals` are written after that.

    The files' slices are rows of `tensors`. All names are paths in the output folder.
    """

    files: tuple[OutputFile, ...]
    manifest: str
    seals: tuple[OutputFile, ...]
    tensors: tuple[Assembly, ...]

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        manifest = self.manifest_file({file.name: "0" * 64 for file in self.files})
        return sum(file.size_bytes for file in (*self.files, manifest, *self.seals))

    def manifest_file(self, hashes: Mapping[str, str]) -> OutputFile:
        """integrity.json, as Megatron 0.17 and later write and verify it; its size does not depend on the hashes."""
        files = {PurePosixPath(name).name: hashes[name] for name in sorted(hashes)}
        content = json.dumps({"algorithm": "sha256", "files": files}, indent=2)
        return literal_file(self.manifest, content.encode())

    def digest(self) -> str:
        """A hash of this plan: another plan has another one."""
        sha256 = hashlib.sha256()
        for part in (_LAYOUT_VERSION, self.manifest, *self.tensors, *self.files, *self.seals):
            sha256.update(repr(part).encode())
        return sha256.hexdigest()


def plan_torch_dist(blueprint: MegatronBlueprint, beside: tuple[OutputFile, ...] = ()) -> OutputPlan:
    """A checkpoint that Megatron loads by the tracker in its folder; the files `beside` it are the tokenizer's."""
    return OutputPlan(
        files=(*beside, *torch_dist_files(blueprint)),
        manifest=f"{RELEASE}/{MANIFEST}",
        seals=(tracker(),),
        tensors=blueprint.tensors,
    )


def plan_safetensors(blueprint: HuggingFaceBlueprint, beside: tuple[OutputFile, ...] = ()) -> OutputPlan:
    """A checkpoint that transformers loads; the files `beside` it are the tokenizer's."""
    return OutputPlan(
        files=(*beside, *hugging_face_files(blueprint)),
        manifest=MANIFEST,
        seals=(),
        tensors=blueprint.tensors,
    )
