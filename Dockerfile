# syntax=docker/dockerfile:1

# Both stages are Debian 13, so that the binary finds the glibc it was linked against.
FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY . .
ARG TARGETPLATFORM
# One target directory a platform: parallel builds for several platforms must not share objects.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=target-$TARGETPLATFORM,target=/src/target,sharing=locked \
    cargo build --release --locked --bin zitadel-operator \
    && cp target/release/zitadel-operator /zitadel-operator

FROM gcr.io/distroless/cc-debian13:nonroot
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="zitadel-operator" \
      org.opencontainers.image.description="A Kubernetes operator that makes a ZITADEL instance follow custom resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /zitadel-operator /zitadel-operator
# By number, so that runAsNonRoot can be verified.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/zitadel-operator"]
CMD ["run"]
