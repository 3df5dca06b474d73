#!/bin/sh
# The page in a real browser, against a real logboom under load:
#
#     tests/web/run.sh target/release/logboom [--smoke] [--pictures DIRECTORY] [--watched]
#
# Installs what is missing (Chromium with apt, playwright-core with npm, into a directory of its own). The exit code says
# how it went; 77: something cannot be had here, the reason on stderr. --smoke takes half a minute in place of three.
# --watched measures instead what it costs to be watched at 100,000 records/s; for a machine that does nothing else.
set -eu
without() { echo "the page was NOT looked at in a browser: $*" >&2; exit 77; }

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: $0 BINARY [--smoke] [--pictures DIRECTORY]" >&2; exit 2; }
binary=$(realpath "$1")
shift
[ -x "$binary" ] || { echo "$binary is no program: cargo build --release" >&2; exit 2; }

browser=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || true)}
command -v node >/dev/null && command -v npm >/dev/null || without "there is no node or no npm"
if [ -z "$browser" ]; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-inter fonts-jetbrains-mono; } >&2 ||
        without "Chromium is not here and cannot be installed"
    browser=$(command -v chromium)
fi

node "$here/pure.mjs"

modules=${LOGBOOM_WEB_MODULES:-${TMPDIR:-/tmp}/logboom-web-modules}
if [ ! -d "$modules/node_modules/playwright-core" ]; then
    mkdir -p "$modules"
    npm install --silent --no-audit --no-fund --prefix "$modules" playwright-core@1 >&2 ||
        without "playwright-core cannot be installed"
fi

PLAYWRIGHT="$modules/node_modules/playwright-core/index.mjs" CHROMIUM="$browser" \
    exec timeout --kill-after=10 600 node "$here/check.mjs" "$binary" "$@"
