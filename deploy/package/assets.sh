#!/usr/bin/env bash
# What packages hold beside the binary: manual page, completions, the licences of what is linked. Into target/package.
#
#   deploy/package/assets.sh [BINARY]
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${1:-target/release/logboom}
out=target/package
rm -rf "$out"
mkdir -p "$out"
"$binary" man | gzip -9n >"$out/logboom.1.gz"
"$binary" completion bash >"$out/logboom.bash"
"$binary" completion zsh >"$out/_logboom"
"$binary" completion fish >"$out/logboom.fish"
python3 deploy/package/third_party.py >"$out/THIRD-PARTY.md"
