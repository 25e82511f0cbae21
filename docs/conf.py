"""Sphinx: plain Markdown through MyST, the API page from docstrings; a warning is an error (`-W`)."""

from importlib.metadata import version as installed_version

project = "weightarith"
author = "the weightarith developers"
version = release = installed_version("weightarith")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # what a command prints in a `console` block is no shell

autodoc_member_order = "bysource"
autodoc_typehints = "description"
default_role = "code"  # docstrings write `name`, as Markdown does

html_theme = "furo"
html_title = "weightarith"
