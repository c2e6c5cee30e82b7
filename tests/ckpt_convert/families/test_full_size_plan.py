"""The table of the whole DeepSeek-V3 is made at once, on a login node."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json
from pathlib import Path
from family_configs import infos, published
from ckpt_convert.families.blueprints import to_hugging_face, to_megatron
from ckpt_convert.families.model import model_of_config
from ckpt_convert.tensors import Dtype, TensorInfo

model = model_of_config(published("DeepSeek-V3"), "config.json")
tensors = {}
for name, info in infos(model.table().shapes()).items():
    tensors[name] = info
    if name.endswith(("_proj.weight", "_with_mqa.weight")) and not name.endswith("eh_proj.weight"):
        tensors[name] = TensorInfo(dtype=Dtype.F8_E4M3, shape=info.shape)
        blocks = tuple(-(-size // 128) for size in info.shape)
        tensors[name + "_scale_inv"] = TensorInfo(dtype=Dtype.F32, shape=blocks)
there = to_megatron(model, tensors, dtype=Dtype.BF16, where="here")
back = to_hugging_face(model, {t.name: t.info for t in there.tensors}, dtype=Dtype.BF16, where="there")
print(json.dumps({
    "sources": len(tensors),
    "parts": sum(len(tensor.parts) for tensor in there.tensors),
    "returned": len(back.tensors),
    "peak_kib": int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]),
}))
"""


def test_deepseek_v3_in_fp8(repository: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{repository}{os.pathsep}{Path(__file__).parent}"}
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )
    measured = json.loads(program.stdout)
    assert (measured["sources"], measured["parts"], measured["returned"]) == (91_991, 46_181, 46_183)
    assert measured["peak_kib"] * 1024 < 400e6
