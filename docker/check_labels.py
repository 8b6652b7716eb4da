"""Run in an image's build: compare what its labels will say (protocol, schema, CUDA) with what is installed."""

import sys

import torch

from pytest_llem.results.model import SCHEMA_VERSION
from pytest_llem.runners.messages import PROTOCOL_VERSION

labels = tuple(sys.argv[1:])
installed = (str(PROTOCOL_VERSION), str(SCHEMA_VERSION), torch.version.cuda or "none")
if labels != installed:
    sys.exit(f"labels (protocol, schema, CUDA) {labels} do not match what is installed: {installed}")
