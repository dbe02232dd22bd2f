# The image of the fake. It runs without root and on a read-only file system.
#   docker build -t codeq-fake . && docker run --rm --read-only -p 127.0.0.1:8080:8080 codeq-fake
# It also contains the contract suite: docker run --rm --entrypoint codeq-contract codeq-fake run
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
# Further options for pip, for example to install from build/wheels instead of an index.
ARG PIP_OPTIONS=""
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY codeq_fake /src/codeq_fake
COPY client/codeq_client /src/client/codeq_client
COPY contract_tests/codeq_contract /src/contract_tests/codeq_contract
COPY build/wheel[s] /src/build/wheels/
RUN python3 -m venv /app \
 && /app/bin/pip install --disable-pip-version-check --no-cache-dir --constraint /src/constraints.txt ${PIP_OPTIONS} "/src[contract]"

FROM ${BASE}
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CODEQ_FAKE_HOST=0.0.0.0 CODEQ_FAKE_LOG=text PORT=8080
USER 10001:10001
EXPOSE 8080
# Without a proxy, which Docker's configuration may set in every container.
HEALTHCHECK --interval=2s --timeout=3s --start-period=5s --retries=10 \
  CMD ["python3", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"PORT\"]}/metrics', timeout=2)"]
ENTRYPOINT ["codeq-fake"]
CMD ["serve"]
