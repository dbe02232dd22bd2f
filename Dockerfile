# The image of the fake. It runs without root and on a read-only file system.
#   docker build -t codeq-fake . && docker run --rm --read-only -p 127.0.0.1:8080:8080 codeq-fake
# It also contains the contract suite: docker run --rm --entrypoint codeq-contract codeq-fake run
FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea AS base

FROM base AS build
# Further options for pip, for example to install from build/wheels instead of an index.
ARG PIP_OPTIONS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY pyproject.toml requirements.txt requirements-build.txt sbom.cdx.json README.md LICENSE /src/
COPY codeq_fake /src/codeq_fake
COPY client/codeq_client /src/client/codeq_client
COPY client/codeq_worker.py /src/client/
COPY contract_tests/codeq_contract /src/contract_tests/codeq_contract
COPY build/wheel[s] /src/build/wheels/
# Only wheels with known hashes are installed, so no setup script runs.
RUN python3 -m venv /build && python3 -m venv /app \
 && /build/bin/pip install --require-hashes --only-binary :all: ${PIP_OPTIONS} --requirement /src/requirements-build.txt \
 && /build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist /src \
 && /app/bin/pip install --require-hashes --only-binary :all: ${PIP_OPTIONS} --requirement /src/requirements.txt \
 && /app/bin/pip install --no-index --no-deps /dist/*.whl

FROM base
COPY --from=build /app /app
# A volume at this folder takes over its owner, so that the suite may write its report there.
RUN install --directory --owner 10001 --group 10001 /report
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CODEQ_FAKE_HOST=0.0.0.0 CODEQ_FAKE_LOG=text PORT=8080
USER 10001:10001
EXPOSE 8080
# A bare socket: it uses no proxy, and loads in a few milliseconds, since it runs every two seconds.
HEALTHCHECK --interval=2s --timeout=3s --start-period=5s --retries=10 \
  CMD ["python3", "-ISc", "import os, socket as s; c = s.create_connection(('127.0.0.1', int(os.environ['PORT'])), 2); c.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n'); raise SystemExit(b' 200 ' not in c.recv(64))"]
ENTRYPOINT ["codeq-fake"]
CMD ["serve"]
