# An image of Portico and an app: a build stage each, and a last one with nothing but Node and the two.
#
#   docker build -t web .                                   # the app of docker-compose.yml
#   docker build -t mine --build-arg APP=path/to/app .      # a directory of this repository, with package.json
#   docker run --read-only --cap-drop ALL -p 8000:8000 web
#
# docs/docker.md has a Dockerfile for an app in a repository of its own.
#
# Tags move with security fixes. Who wants the same bytes each time gives digests, which are the registry's to tell:
#   docker buildx imagetools inspect node:24-bookworm-slim
#   docker build --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… --build-arg RUNTIME_IMAGE=…@sha256:… .
ARG NODE_IMAGE=node:24-bookworm-slim
# glibc, libstdc++, CA certificates, a user "nonroot"; no shell, no package manager. Of the same Debian as NODE_IMAGE.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${NODE_IMAGE} AS portico
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/portico
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src/ src/
COPY native/ native/
COPY scripts/lib.mjs scripts/
RUN node node_modules/typescript/bin/tsc -p . \
    && node -e "import('./scripts/lib.mjs').then(({ ensureNative }) => ensureNative('dist/native'))"
RUN npm prune --omit=dev --ignore-scripts
COPY static/ static/
# The last stage has no env(1) for a "#!/usr/bin/env node".
RUN printf '#!/usr/local/bin/node\nimport("/opt/portico/dist/main.js");\n' > portico && chmod 755 portico

FROM ${NODE_IMAGE} AS app
ARG APP=examples/compose/web
WORKDIR /app
COPY ${APP}/package.json ${APP}/package-lock.json ./
RUN npm ci --omit=dev
COPY ${APP}/ ./

FROM ${RUNTIME_IMAGE}
COPY --from=portico /usr/local/bin/node /usr/local/bin/node
COPY --from=portico /opt/portico/portico /usr/local/bin/portico
COPY --from=portico /opt/portico/package.json /opt/portico/package.json
COPY --from=portico /opt/portico/node_modules/ /opt/portico/node_modules/
COPY --from=portico /opt/portico/static/ /opt/portico/static/
COPY --from=portico /opt/portico/dist/ /opt/portico/dist/
COPY --from=app /app/ /app/
WORKDIR /app
USER 65532:65532
# A stop is over before Docker's 10 s are: the graceful time, then a second for the workers' own clean-up.
# /dev/shm can be written in a read-only container too.
ENV NODE_ENV=production \
    PORTICO_BIND=0.0.0.0:8000 \
    PORTICO_GRACEFUL_TIMEOUT=7s \
    PORTICO_ACCESS_LOGFILE=- \
    PORTICO_RUNTIME_DIR=/dev/shm/portico
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["portico", "health"]
# The arbiter is process 1: it waits for what the app's processes leave behind.
ENTRYPOINT ["portico"]
CMD ["server.js:app"]
