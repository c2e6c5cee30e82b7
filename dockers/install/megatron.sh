#!/usr/bin/env bash
# Megatron-LM at its pinned commit, in place of the base image's: MEGATRON_PATH, and importable from anywhere.
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=dockers/versions.env
. "$here/versions.env"

python -m pip uninstall --yes megatron-core
rm -rf "$MEGATRON_PATH"
bash "$here/fetch.sh" NVIDIA/Megatron-LM "$MEGATRON_COMMIT" "$MEGATRON_PATH"
python -m pip install --no-deps --no-build-isolation --editable "$MEGATRON_PATH"
# The data sets' helper is compiled here, where one process writes, and not by the ranks of a job.
make -C "$MEGATRON_PATH/megatron/core/datasets"
