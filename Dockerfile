# Two stages: what builds the program stays behind. Run it with a read-only root file system:
#   docker run --read-only --env-file governor.env --volume "$PWD/policies:/policies:ro" \
#     --volume governor-data:/data --publish 3000:3000 governor
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md CHANGELOG.md LICENSE ./
COPY bot ./bot
COPY policies ./policies
RUN python -m venv /opt/governor \
    && /opt/governor/bin/pip install --no-cache-dir --constraint constraints.txt '.[aws,google,kubernetes,mcp,tracing]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home governor
COPY --from=build /opt/governor /opt/governor
ENV PATH=/opt/governor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    POLICIES_DIR=/policies \
    DATABASE_URL=sqlite+aiosqlite:////data/governor.db
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 3000
# A start may wait for a migration.
HEALTHCHECK --start-period=15m CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '3000') + '/healthz', timeout=3)"]
ENTRYPOINT ["governor"]
CMD ["run"]
