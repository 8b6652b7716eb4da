"""The project around the package: versions, what is released, workflows."""
