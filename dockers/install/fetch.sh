#!/usr/bin/env bash
# fetch.sh OWNER/NAME COMMIT FOLDER: a repository at exactly that commit, with its submodules and without history.
set -euo pipefail

git init --quiet "$3"
git -C "$3" fetch --quiet --depth 1 "https://github.com/$1.git" "$2"
git -C "$3" checkout --quiet --detach FETCH_HEAD
git -C "$3" submodule update --quiet --init --recursive --depth 1
