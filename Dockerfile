# One static binary in an otherwise empty image. Build it on, or for, the platform it is to run on:
# the builder's native target is musl, on x86-64 and arm64 alike.
#
#   docker build -t logboom .
#   docker run -v "$PWD/config/node.yaml:/etc/logboom.yaml:ro" -p 5000:5000 -p 4317:4317 logboom \
#     run -c /etc/logboom.yaml
#
# Without a configuration logboom listens on loopback, which is what a sidecar wants: containers of
# a pod share it. To be reached from elsewhere it needs a file that says 0.0.0.0.

FROM rust:1.95-alpine AS build
# A C compiler for zstd, ring and the allocator; the certificates are for the last stage.
RUN apk add --no-cache build-base ca-certificates
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    mkdir -p /out/var/log/logboom /out/run/logboom /out/etc/ssl/certs && \
    cargo build --release --locked && \
    cp target/release/logboom /out/logboom && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/
# Fails here, not in the field, should anything have been linked dynamically: this root holds
# nothing but the binary.
RUN chroot /out /logboom --version

FROM scratch
COPY --from=build /out/logboom /logboom
COPY --from=build /out/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# The one place that may be written to; relative paths of file sinks and the like start here.
COPY --from=build --chown=65532:65532 /out/var/log/logboom /var/log/logboom
# The control socket: docker exec -it CONTAINER /logboom top
COPY --from=build --chown=65532:65532 /out/run/logboom /run/logboom
USER 65532:65532
WORKDIR /var/log/logboom
VOLUME /var/log/logboom
# Lines, OTLP over gRPC, metrics and health.
EXPOSE 5000 4317 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/logboom"]
