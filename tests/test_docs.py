"""The documentation names everything a user can meet, and leaves nothing out in silence.

That its blocks run is checked by the pages themselves: see conftest.py beside README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import weightarith
from weightarith import errors
from weightarith.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
ERRORS = [
    error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)
]
LANGUAGES = {"python", "yaml", "console", "bash", "text"}  # all but text are run: see conftest.py


COMMANDS = cli.list_commands(click.Context(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_stands_in_the_documentation(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.help
    assert f"\n## weightarith {name}\n" in TEXT["cli.md"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_table_with_its_exit_status(error: type[errors.WeightArithError]) -> None:
    (row,) = re.findall(rf"^\|.*`{error.__name__}`.*$", TEXT["errors.md"], re.MULTILINE)

    assert row.split("|")[1].strip().startswith(str(error.exit_code))


@pytest.mark.parametrize("name", sorted(set(weightarith.__all__) - {error.__name__ for error in ERRORS}))
def test_every_public_name_is_in_the_api_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT["api.md"])


def fences() -> Iterator[tuple[str, str]]:
    for page, text in TEXT.items():
        opened = False
        for line in text.splitlines():
            if line.startswith("```"):
                opened = not opened
                if opened:
                    yield page, line[3:].strip()


@pytest.mark.parametrize(("page", "language"), sorted(set(fences())))
def test_every_block_is_of_a_language_that_is_run_or_is_plain_text(page: str, language: str) -> None:
    assert language in LANGUAGES or language.startswith("{"), page


@pytest.mark.parametrize("page", sorted(TEXT))
def test_every_skipped_block_says_why(page: str) -> None:
    skips = [line for line in TEXT[page].splitlines() if re.search(r"<!-+ *skip", line)]

    assert all(re.search(r'skip: (next|start|end) ".{10,}"|skip: end', line) for line in skips)


@pytest.mark.parametrize("page", sorted(TEXT))
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", TEXT[page])

    assert [link for link in links if not (folder / link).exists()] == []
