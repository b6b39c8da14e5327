# mountfs in a container; docs/OPERATIONS.md says how it is run, and how the host sees the mount.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN python3 -m venv /opt/mountfs \
 && /opt/mountfs/bin/pip install --no-cache-dir '/src[metrics,fleet]'

FROM ${BASE}
# fusermount3 is not needed by root, but mountfs doctor looks for it. libfuse2 is libfuse2t64 from Debian 13 on.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates fuse3 python3 '^libfuse2(t64)?$' \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/mountfs /opt/mountfs
ENV PATH=/opt/mountfs/bin:$PATH
VOLUME /var/lib/mountfs
# A stop drains first: give it time with `docker stop --time 330`.
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=30s CMD ["mountfs", "status"]
ENTRYPOINT ["mountfs"]
CMD ["--help"]
