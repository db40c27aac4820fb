# syntax=docker/dockerfile:1

# Both stages are Debian 13, so that the binary finds the glibc it was linked against. Not a static musl: names resolve
# as they do for the rest of the cluster, and glibc's allocator does not slow many threads down.
FROM rust:1.95-slim-trixie@sha256:ee4fa026a11f9e8b1b00568364a880dc720409bb94b0e6800f63f974f9c909d5 AS build
# Writes the list of dependencies into the binary, for scanners.
RUN cargo install --locked --version 0.7.7 cargo-auditable
WORKDIR /src
COPY . .
ARG TARGETPLATFORM
# For compilers that write a date. BuildKit dates the image itself with it.
ARG SOURCE_DATE_EPOCH
# What zitadel_operator_build_info tells.
ARG REVISION=unknown
# One target directory a platform: parallel builds for several platforms must not share objects.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=target-$TARGETPLATFORM,target=/src/target,sharing=locked \
    ZITADEL_OPERATOR_REVISION="$REVISION" cargo auditable build --release --locked --bin zitadel-operator \
    && cp target/release/zitadel-operator /zitadel-operator

FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97
ARG VERSION=dev
ARG REVISION=unknown
ARG SOURCE=https://github.com/zitadel-operator/zitadel-operator
LABEL org.opencontainers.image.title="zitadel-operator" \
      org.opencontainers.image.description="A Kubernetes operator that makes a ZITADEL instance follow custom resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY LICENSE /LICENSE
COPY --from=build /zitadel-operator /zitadel-operator
# By number, so that runAsNonRoot can be verified.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/zitadel-operator"]
CMD ["run"]
