# syntax=docker/dockerfile:1
# One static binary in an otherwise empty image.
#
#   docker build -t logboom .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/logboom:0.1.0 --push .
#   docker run --read-only -v "$PWD/config/node.yaml:/etc/logboom/logboom.yaml:ro" -v logs:/var/log/logboom \
#     -p 5000:5000 -p 4317:4317 -p 4318:4318 logboom run -c /etc/logboom/logboom.yaml
#
# Each platform is built by a builder of its own kind, emulated where there is none: the builder's native target is
# musl on x86-64 and arm64 alike, so nothing is cross-compiled.
#
# Without a configuration logboom listens on loopback, which is what a sidecar wants: containers of a pod share it. To be
# reached from elsewhere it needs a file that says 0.0.0.0.

FROM rust:1.95-alpine AS build
# A C compiler for zstd, ring and the allocator; the certificates are for the last stage.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base ca-certificates
ARG TARGETARCH
WORKDIR /src
# The dependencies alone: a layer that stays while Cargo.lock does. The allocator has to know the largest page that a
# kernel may have: on arm64 that is 64KiB, and an allocator built for 4KiB does not start there.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' >src/main.rs && touch src/lib.rs && \
    if [ "$TARGETARCH" = arm64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi && \
    cargo build --release --locked && \
    rm -r src
COPY src src
# Cargo goes by times: what is copied may be older than the stubs.
RUN find src -name '*.rs' -exec touch {} + && \
    if [ "$TARGETARCH" = arm64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi && \
    cargo build --release --locked
COPY LICENSE ./
RUN mkdir -p /out/etc/ssl/certs /out/licenses /out/var/log/logboom /out/var/lib/logboom /out/run/logboom && \
    cp target/release/logboom /out/logboom && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && \
    cp LICENSE /out/licenses/ && \
    chmod 0700 /out/var/lib/logboom
# Fails here, not in the field, should anything have been linked dynamically: this root holds nothing but the binary.
RUN chroot /out /logboom --version

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="logboom" \
      org.opencontainers.image.description="The log collector of the service mesh" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/logboom /logboom
COPY --from=build /out/etc /etc
COPY --from=build /out/licenses /licenses
# The places that may be written to, all else can be read-only: files (relative paths start here), a journal, sockets.
COPY --from=build --chown=65532:65532 /out/var/log/logboom /var/log/logboom
COPY --from=build --chown=65532:65532 /out/var/lib/logboom /var/lib/logboom
COPY --from=build --chown=65532:65532 /out/run/logboom /run/logboom
# As a number, so that runAsNonRoot can be sure of it.
USER 65532:65532
WORKDIR /var/log/logboom
VOLUME ["/var/log/logboom", "/var/lib/logboom"]
# Lines, OTLP over gRPC and HTTP, metrics and health. No HEALTHCHECK: /livez and /readyz are for who runs the container.
EXPOSE 5000 4317 4318 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/logboom"]
