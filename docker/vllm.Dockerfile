# The worker for the vLLM backend: this package's worker added to the official vLLM image.
#
#   docker/build.sh vllm
#   docker/build.sh vllm --base IMAGE --cuda none
#
# The base image's python3 must have vLLM. Nothing of vLLM's own is changed: what is missing for the worker is added
# beside it, held to the versions that are there.
ARG BASE_IMAGE=vllm/vllm-openai:v0.26.0

FROM ${BASE_IMAGE} AS wheel
USER 0
RUN python3 -m pip install --no-cache-dir --target /opt/build \
    "hatchling>=1.27" "hatch-vcs>=0.5" "hatch-fancy-pypi-readme>=25.1"
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
ARG VERSION=0.0.0.dev0
ARG SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION}
RUN cd /source && PYTHONPATH=/opt/build python3 -m hatchling build -t wheel -d /wheel

FROM ${BASE_IMAGE}
USER 0
COPY docker/requirements.txt /tmp/requirements.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    python3 -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' >/tmp/constraints.txt \
    && python3 -m pip install --no-cache-dir -c /tmp/constraints.txt -r /tmp/requirements.txt \
    && python3 -m pip install --no-cache-dir --no-deps /wheel/*.whl

# The preflight believes the labels, so a label that is not true ends the build.
ARG CUDA=13.0
ARG PROTOCOL=1
ARG SCHEMA=1
COPY docker/check_labels.py /tmp/check_labels.py
RUN python3 /tmp/check_labels.py "${PROTOCOL}" "${SCHEMA}" "${CUDA}"

ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="pytest-llem worker, vLLM" \
      org.opencontainers.image.description="Runs LLM inference experiments and says when; the host measures the energy." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.pytest-llem.backend="vllm" \
      org.pytest-llem.protocol="${PROTOCOL}" \
      org.pytest-llem.schema="${SCHEMA}" \
      org.pytest-llem.cuda="${CUDA}"
ENV HOME=/tmp USER=llem VLLM_NO_USAGE_STATS=1
USER 65534:65534
ENTRYPOINT ["python3", "-m", "pytest_llem.runners.docker.entry"]
