# What people run; .ci/run runs the same commands.

export RUSTDOCFLAGS := "-D warnings"

# The list of recipes.
default:
    @just --list

# Before every commit: format, lints, tests, documentation.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test
    cargo doc --no-deps

# All tests, or those whose name contains NAME.
test *NAME:
    cargo test {{NAME}}

# logboom itself, for example `just run run -c config/sidecar.yaml`.
run *ARGS:
    cargo run --release -- {{ARGS}}

# The benchmark cases, into README.md and docs/benchmarks.md; `just bench --quick` in a few minutes, into nothing.
bench *ARGS: build
    python3 bench/run.py --publish {{ARGS}}

# Costs at rest, how they grow, and what a mesh needs by them, into docs/scaling.md.
bench-scale *ARGS: build
    python3 bench/scale.py --publish {{ARGS}}

# Single steps: framing, formats, the OTLP walk, JSON, the journal.
bench-micro *ARGS:
    cargo bench --bench micro -- {{ARGS}}

# A real Envoy against logboom, end to end.
envoy *ARGS: build
    python3 tests/envoy/run.py --logboom target/release/logboom {{ARGS}}

# The OpenTelemetry SDKs for Python, JavaScript, Go and Java, for example `just sdks --only go --only tls`.
sdks *ARGS: build
    python3 tests/sdks/run.py target/release/logboom --directory target/tools/sdks {{ARGS}}

# A real OpenTelemetry Collector between logbooms; COLLECTOR is its binary.
collector COLLECTOR *ARGS: build
    python3 tests/sdks/collector.py target/release/logboom {{COLLECTOR}} {{ARGS}}

# Crashes, failing and full disks, damaged journals, dead upstreams, restarts, hostile clients; see tests/faults/README.md.
faults *ARGS="--smoke": build
    python3 tests/faults/run.py --logboom target/release/logboom {{ARGS}}

# The page in a headless browser against the release binary, under load; `just web --smoke` in less than two minutes.
web *ARGS: build
    tests/web/run.sh target/release/logboom {{ARGS}}

# Every fuzz target, or those named, for SECONDS each.
fuzz SECONDS="60" *TARGETS:
    fuzz/run.sh {{SECONDS}} {{TARGETS}}

# Licences, bans, sources, advisories of all dependencies.
deny:
    cargo deny check

# Everything, as the build server does it.
ci:
    .ci/run

# What is shipped: manifests, chart, policies, units, packages, image, alerts, dashboard; see tests/ship/run.py.
ship *ARGS: build
    python3 tests/ship/run.py --logboom target/release/logboom {{ARGS}}

# The chart's copies of what stands elsewhere in deploy/.
chart:
    cp deploy/prometheus/alerts.yaml deploy/helm/logboom/files/alerts.yaml
    cp deploy/grafana/logboom.json deploy/helm/logboom/files/dashboard.json
    cp deploy/kubernetes/overlays/node/logboom.yaml deploy/helm/logboom/files/daemonset.yaml
    cp deploy/kubernetes/overlays/gateway/logboom.yaml deploy/helm/logboom/files/gateway.yaml

# What `release` and the package checks of `ship` need, into target/tools; a few minutes, once.
package-tools:
    CARGO_TARGET_DIR=target/tools/build cargo install --locked --root target/tools \
        cargo-deb@3.8.0 cargo-generate-rpm@0.21.1 cargo-cyclonedx@0.5.9

# Tarball, deb, rpm, chart, SBOM, licences and checksums, into dist/; see docs/releasing.md.
release: build
    deploy/package/release.sh

[private]
build:
    cargo build --release
