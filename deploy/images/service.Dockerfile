# One recipe for the five services; `make image SERVICE=ledger` calls it.
#
# BASE is any image with Python 3.11 or newer as `python3` and a shell: python:3.11-slim, or theory-base:bookworm from
# deploy/images/base.sh where no image registry is reached. Packages come from the Python index, each by its hash in
# requirements.lock. The result holds one service, its drivers and the library: no other service, no package manager.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# The uv of the lock, from the checkout's own environment; and the builder's authorities, where it has its own: they reach
# this stage only.
COPY .venv/bin/uv .venv/ca.crt* /tools/
RUN if [ -e /tools/ca.crt ]; then cp /tools/ca.crt /etc/ssl/certs/ca-certificates.crt; fi
ENV PATH=/tools:/usr/local/bin:/usr/bin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENV UV_NO_CACHE=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
WORKDIR /src
COPY pyproject.toml requirements.lock ./
RUN uv venv --quiet /build && VIRTUAL_ENV=/build uv pip install --require-hashes -c requirements.lock --group build
ARG SERVICE
RUN uv venv --quiet /srv/venv \
  && VIRTUAL_ENV=/srv/venv uv pip install --require-hashes -c requirements.lock --group ${SERVICE} -r pyproject.toml
COPY hatch_build.py LICENSE ./
COPY protos protos
COPY theory theory
RUN uv build --quiet --wheel --no-build-isolation --python /build/bin/python --out-dir /wheel \
  && VIRTUAL_ENV=/srv/venv uv pip install --no-deps --compile-bytecode /wheel/*.whl
# Copied with its owner below: the second stage has nothing to change owners with.
WORKDIR /state

FROM ${BASE}
ARG SERVICE
COPY --from=build /srv/venv /srv/venv
COPY services/__init__.py /srv/services/__init__.py
COPY services/drivers /srv/services/drivers
COPY services/${SERVICE} /srv/services/${SERVICE}
COPY --from=build --chown=65532:65532 /state /var/lib/theory
ENV PATH=/srv/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/srv PYTHONDONTWRITEBYTECODE=1 \
  THEORY_HOME=/var/lib/theory THEORY_SERVICE=${SERVICE}
WORKDIR /srv
USER 65532:65532
VOLUME /var/lib/theory
# The shell gives its place to Python, which then gets the signals.
CMD exec python -m services.$THEORY_SERVICE
