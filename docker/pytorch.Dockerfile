# The worker for the PyTorch backend: torch, transformers and this package's worker, without pytest.
#
#   docker/build.sh pytorch
#   docker/build.sh pytorch --base IMAGE --cuda none --wheels FOLDER
#
# What changes most often comes last, so that a new version of this package is one small layer.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS libraries
ARG TORCH=torch==2.13.0
ARG TRANSFORMERS=transformers==5.17.0
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    pip install --no-cache-dir --find-links /wheels "${TORCH}" "${TRANSFORMERS}" accelerate
COPY docker/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt

FROM ${BASE_IMAGE} AS wheel
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir "hatchling>=1.27" "hatch-vcs>=0.5" "hatch-fancy-pypi-readme>=25.1"
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
ARG VERSION=0.0.0.dev0
ARG SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION}
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel /source

FROM libraries
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-cache-dir --no-deps /wheel/*.whl

# The preflight believes the labels, so a label that is not true ends the build.
ARG CUDA=13.0
ARG PROTOCOL=1
ARG SCHEMA=1
COPY docker/check_labels.py /tmp/check_labels.py
RUN python3 /tmp/check_labels.py "${PROTOCOL}" "${SCHEMA}" "${CUDA}"

ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="pytest-llem worker, PyTorch" \
      org.opencontainers.image.description="Runs LLM inference experiments and says when; the host measures the energy." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.pytest-llem.backend="pytorch" \
      org.pytest-llem.protocol="${PROTOCOL}" \
      org.pytest-llem.schema="${SCHEMA}" \
      org.pytest-llem.cuda="${CUDA}"
ENV HOME=/tmp USER=llem
USER 65534:65534
ENTRYPOINT ["python3", "-m", "pytest_llem.runners.docker.entry"]
