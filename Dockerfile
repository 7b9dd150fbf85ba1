# syntax=docker/dockerfile:1
# The service in a container: docs/DEPLOY.md. Built from the checkout; .dockerignore says what it sees.

ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /opt/cairn
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE} AS run
LABEL org.opencontainers.image.title="Cairn" \
      org.opencontainers.image.description="Content-addressed snapshots of keyed entities, over HTTP" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.documentation="docs/DEPLOY.md"

# Named volumes take over the owner and the mode of these folders.
RUN install -d -o 10001 -g 10001 -m 0700 /data /backups \
 && install -d -o 10001 -g 10001 -m 0750 /scrape

WORKDIR /opt/cairn
COPY --from=build /opt/cairn/package.json /opt/cairn/LICENSE-MIT /opt/cairn/LICENSE-APACHE ./
COPY --from=build /opt/cairn/bin bin
COPY --from=build /opt/cairn/scripts/docker-entrypoint.sh /opt/cairn/scripts/docker-healthcheck.mjs scripts/
COPY --from=build /opt/cairn/node_modules node_modules
COPY --from=build /opt/cairn/dist dist

# The heap leaves room within 512 MB for what is outside of it: buffers, the pages of the store.
# Drills and sorts put files into TMPDIR, which must not be memory.
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-old-space-size=320 \
    PATH=/opt/cairn/bin:$PATH \
    HOME=/data \
    TMPDIR=/data/tmp \
    CAIRN_DATA_DIR=/data \
    CAIRN_BACKUPS_DIR=/backups

USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/backups"]
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["node", "/opt/cairn/scripts/docker-healthcheck.mjs"]
ENTRYPOINT ["/opt/cairn/scripts/docker-entrypoint.sh"]
CMD ["serve", "--no-progress"]
