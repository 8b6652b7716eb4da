"""A run as one HTML file, to be read offline, on paper and by keyboard."""

from pytest_llem.report.html.page import render

__all__ = ["render"]
