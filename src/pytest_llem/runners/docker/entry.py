"""The first program in a worker's container: takes the hub's token from standard input, then becomes the worker.

A token in the container's configuration would be shown by ``docker inspect`` to all who may use the engine, and one in
a file may outlive a killed run. Standard input is neither recorded nor kept.
"""

from __future__ import annotations

import os
import runpy
import sys

TOKEN_FOLLOWS = "LLEM_TOKEN_FOLLOWS"


def main() -> None:
    """Run the worker module named by the first argument, with HF_TOKEN set if the host has sent one."""
    if os.environ.pop(TOKEN_FOLLOWS, None) and (token := sys.stdin.readline().strip()):
        os.environ["HF_TOKEN"] = token
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
