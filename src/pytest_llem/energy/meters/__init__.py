"""The power meters that come with pytest-llem; each module is one."""
