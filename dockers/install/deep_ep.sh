#!/usr/bin/env bash
# DeepEP and HybridEP at their pinned commit, with NVSHMEM and RDMA, so that both reach beyond a node.
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=dockers/versions.env
. "$here/versions.env"

apt-get update
apt-get install --yes --no-install-recommends --allow-change-held-packages rdma-core libibverbs-dev
rm -rf /var/lib/apt/lists/*

# HybridEP compiles kernels while it runs, and then looks for RDMA's headers and libraries where it was built with them.
libraries=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
[ -e "$libraries/libmlx5.so" ] || ln -s libmlx5.so.1 "$libraries/libmlx5.so"
export RDMA_CORE_HOME=/opt/rdma-core
mkdir -p "$RDMA_CORE_HOME"
ln -sfn /usr/include "$RDMA_CORE_HOME/include"
ln -sfn "$libraries" "$RDMA_CORE_HOME/lib"

# The wheel has the library under its versioned name only; fabric handles ask for the plain one.
python -m pip install --no-deps "nvidia-nvshmem-cu13==$NVSHMEM_VERSION"
nvshmem=$(python -c 'import importlib.util as u; print(u.find_spec("nvidia.nvshmem").submodule_search_locations[0])')
ln -sf libnvshmem_host.so.3 "$nvshmem/lib/libnvshmem_host.so"

# A build has no driver: its libraries are linked by CUDA's stubs, one of them under the name that DeepEP asks for.
stubs=$(mktemp -d)
ln -s /usr/local/cuda/lib64/stubs/libnvidia-ml.so "$stubs/libnvidia-ml.so.1"
export LIBRARY_PATH="$stubs:/usr/local/cuda/lib64/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}"
# CUDA 13 keeps libcu++ in a folder of its own.
export CPATH="/usr/local/cuda/include/cccl${CPATH:+:$CPATH}"

source=$(mktemp -d)
bash "$here/fetch.sh" deepseek-ai/DeepEP "$DEEPEP_COMMIT" "$source"
HYBRID_EP_MULTINODE=1 python -m pip install --no-deps --no-build-isolation "$source"
rm -rf "$source" "$stubs"
