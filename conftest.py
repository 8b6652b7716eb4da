"""The repository's own pytest configuration: the plugin is tested with pytest's own test kit."""

pytest_plugins = ["pytester"]
