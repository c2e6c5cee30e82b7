#!/usr/bin/env bash
# Transformer Engine at its pinned commit, compiled for NVTE_CUDA_ARCHS alone, in place of the base image's.
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=dockers/versions.env
. "$here/versions.env"

source=$(mktemp -d)
bash "$here/fetch.sh" NVIDIA/TransformerEngine "$TE_COMMIT" "$source"
python -m pip uninstall --yes transformer-engine transformer-engine-torch transformer-engine-cu13
python -m pip install --no-deps "nvidia-mathdx==$MATHDX_VERSION"
NVTE_FRAMEWORK=pytorch python -m pip install --no-deps --no-build-isolation "$source"
rm -rf "$source"
