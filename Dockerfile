# Two stages: build with the toolchain, run with almost nothing.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
COPY migrations migrations
COPY tests tests
COPY benches benches
# Shown by /version and in the metrics.
ARG DEBRIEF_COMMIT=unknown
RUN cargo build --release --locked --bin debrief

FROM debian:bookworm-slim
# ca-certificates: Slack and calendars are reached over TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/debrief --create-home debrief
COPY --from=build /src/target/release/debrief /usr/local/bin/debrief
USER debrief
# Configuration and roster are mounted at config/; the store lies beside them.
WORKDIR /var/lib/debrief
VOLUME /var/lib/debrief
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["debrief", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["debrief"]
CMD ["run"]
