"""The Docker runner: one hardened, short-lived container for each worker, on the machine's own engine.

:class:`pytest_llem.runners.docker.runner.DockerRunner` is what others use. This package's own ``__init__`` imports
nothing, because :mod:`pytest_llem.runners.docker.entry` runs inside the container.
"""
