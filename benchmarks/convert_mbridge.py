"""Beside mbridge: `python benchmarks/convert_mbridge.py [FOLDER] [RUNS]`, on the bf16 checkpoint of 4 GB.

It needs the extra `engine`, `pip install --no-deps mbridge==0.15.1 einops`, 15 GB in FOLDER, 12 GB of memory and no
GPU. Both convert the same source to torch_dist, each as a process of its own, in turn, RUNS times. In the end what they
wrote is compared, tensor by tensor.

mbridge builds the model and fills it, and Megatron saves it. Without a GPU and Transformer Engine it is the embedded
engine's model on a CPU rank, whose names are turned into those that mbridge knows. What mbridge fixes to CUDA, to 61
layers and to older releases of Megatron and transformers is replaced; the weights are not initialized beforehand.
"""

import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convert import REPOSITORY, SHAPE, SIZES, _timed

SIZE = "4 GB"
NAMES = (
    (".q_layernorm.weight", ".linear_q_up_proj.layer_norm_weight"),
    (".kv_layernorm.weight", ".linear_kv_up_proj.layer_norm_weight"),
    (".mtp_model_layer.", ".transformer_layer."),
)
METADATA = {"non_homogeneous_layers": True, "singleton_local_shards": False}


def main() -> None:
    """Print a line a run."""
    if sys.argv[1:2] == ["--mbridge"]:
        _convert_by_mbridge(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    if not find_spec("mbridge"):
        sys.exit("mbridge is not installed: pip install --no-deps mbridge==0.15.1 einops")
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        _compare(Path(folder), runs)


def _compare(folder: Path, runs: int) -> None:
    source, ours, theirs = folder / "source", folder / "ours", folder / "theirs"
    make = [sys.executable, str(REPOSITORY / "tools/random_checkpoint.py"), str(source)]
    subprocess.run([*make, *SHAPE, *SIZES[SIZE]], check=True)
    harness = [sys.executable, "-m", "harness", "convert"]
    commands = {ours: [*harness, "run", str(source), str(ours)]}
    commands[theirs] = [sys.executable, __file__, "--mbridge", str(source), str(theirs)]
    for _ in range(runs):
        for target, command in commands.items():
            shutil.rmtree(target, ignore_errors=True)
            timed = _timed(command)
            print(f"{target.name}: {timed.wall_s:.1f} s, peak {timed.peak_bytes / 1e9:.2f} GB", flush=True)
    subprocess.run([*harness, "verify", str(ours), str(theirs)], check=True)


def _convert_by_mbridge(source: Path, target: Path) -> None:
    """One rank: mbridge fills Megatron's model from the Hugging Face checkpoint, Megatron saves it."""
    from harness.engine.device import install_cpu_ranks

    install_cpu_ranks()
    import torch
    from megatron.core import dist_checkpointing, parallel_state, tensor_parallel
    from megatron.core.models.gpt.gpt_model import GPTModel
    from transformers import AutoConfig

    from harness.engine.layers import decoder_block_spec, mtp_block_spec

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    parallel_state.initialize_model_parallel()
    tensor_parallel.model_parallel_cuda_manual_seed(1)
    config = AutoConfig.from_pretrained(source)
    config.rope_theta = config.rope_parameters["rope_theta"]  # where transformers 4 had it
    bridge = _bridge_class()(config)
    bridge.set_extra_args(moe_grouped_gemm=False, moe_shared_expert_overlap=False, perform_initialization=False)
    model = GPTModel(
        config=bridge.config,
        transformer_layer_spec=decoder_block_spec(bridge.config),
        mtp_block_spec=mtp_block_spec(bridge.config),
        **bridge._get_gptmodel_args(),
    )
    with torch.no_grad():
        bridge.load_weights([model], str(source))
    folder = target / "release"
    folder.mkdir(parents=True)
    state = model.sharded_state_dict(metadata=METADATA)
    dist_checkpointing.save(state, str(folder), content_metadata=METADATA)
    (target / "latest_checkpointed_iteration.txt").write_text("release")


def _bridge_class() -> Any:
    from mbridge.core.safetensor_io import SafeTensorIO
    from mbridge.models.deepseek_v3 import DeepseekV3Bridge

    class Bridge(DeepseekV3Bridge):  # type: ignore[misc]
        """mbridge's DeepSeek-V3 on the CPU, of any depth."""

        def _build_base_config(self, **wanted: Any) -> Any:
            wanted["original_max_position_embeddings"] = wanted.pop("max_position_embeddings")
            return super()._build_base_config(**wanted)

        def _get_safetensor_io(self, weights_path: str) -> Any:
            return SafeTensorIO(weights_path)

        def _weight_name_mapping_mcore_to_hf(self, mcore_weights_name: str) -> Any:
            name = mcore_weights_name
            for engine, transformer_engine in NAMES:
                name = name.replace(engine, transformer_engine)
            if ".local_experts." in name:  # experts.local_experts.3.linear_fc1.weight: experts.linear_fc1.weight3
                head, _, tail = name.partition("local_experts.")
                expert, _, tail = tail.partition(".")
                name = head + tail + expert
            return super()._weight_name_mapping_mcore_to_hf(name)

        def _convert_mtp_param(self, name: str) -> Any:
            depth, self.config.num_layers = self.config.num_layers, 61
            try:
                names = super()._convert_mtp_param(name)
            finally:
                self.config.num_layers = depth
            return [it.replace("model.layers.61.", f"model.layers.{depth}.") for it in names]

    return Bridge


if __name__ == "__main__":
    main()
