#!/usr/bin/env bash
# Everything of a release, into dist/: tarball, deb, rpm, chart, SBOM, licences, checksums. docs/releasing.md says how.
#
#   deploy/package/release.sh            needs target/release/logboom and what `just package-tools` installs
#
# Tarball, deb, rpm and SBOM of the same binary are the same bytes each time: times are those of the commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/target/tools/bin:$PWD/target/ship/bin:$PATH"

die() { printf 'release: %s\n' "$*" >&2; exit 1; }

for tool in cargo-deb cargo-generate-rpm cargo-cyclonedx; do
  command -v "$tool" >/dev/null || die "$tool is not installed: just package-tools"
done
command -v jq >/dev/null || die "jq is not installed"
[ -x target/release/logboom ] || die "there is no target/release/logboom: cargo build --release"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[ "$(target/release/logboom --version)" = "logboom $version" ] ||
  die "target/release/logboom is $(target/release/logboom --version), Cargo.toml says $version: cargo build --release"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
host=$(rustc -vV | sed -n 's/^host: //p')
name=logboom-$version-$host

rm -rf dist
mkdir -p "dist/$name/completions" dist/packages
deploy/package/assets.sh

cargo deb --no-build --no-strip --quiet -o dist/packages/
cargo generate-rpm -o dist/packages/
mv dist/packages/* dist/
rmdir dist/packages

install -m 755 target/release/logboom "dist/$name/"
install -m 644 README.md CHANGELOG.md LICENSE target/package/THIRD-PARTY.md "dist/$name/"
install -m 644 target/package/logboom.1.gz "dist/$name/"
install -m 644 target/package/logboom.bash target/package/_logboom target/package/logboom.fish "dist/$name/completions/"
cp -r config docs deploy "dist/$name/"
rm -r "dist/$name/deploy/package"
tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
  gzip -9n >"dist/$name.tar.gz"
rm -r "dist/${name:?}"

# It is written beside Cargo.toml.
cargo cyclonedx --format json --no-build-deps --spec-version 1.5 --target "$host" \
  --override-filename "logboom-$version.cdx" --quiet
# Without the path of this machine, and without a number that is drawn by lot.
jq --arg here "$PWD" 'del(.serialNumber) | walk(if type == "string" then gsub("path\\+file://" + $here; "path+file:///logboom") else . end)' \
  "logboom-$version.cdx.json" >"dist/logboom-$version.cdx.json"
rm "logboom-$version.cdx.json"
cp target/package/THIRD-PARTY.md "dist/logboom-$version-THIRD-PARTY.md"

if command -v helm >/dev/null; then
  helm package --destination dist deploy/helm/logboom >/dev/null
else
  echo "NOTICE: helm is not on this machine; the chart was NOT packed"
fi

(cd dist && sha256sum -- * >SHA256SUMS)
(cd dist && sha256sum --check --quiet SHA256SUMS)
ls -l dist
