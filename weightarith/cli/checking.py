"""check: what the programs that serve adapters will do with a folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--for", "loaders", metavar="NAMES",
    help="Whom to ask: peft, vllm, sglang, llama.cpp, ollama, with commas between; all by default.",
)  # fmt: skip
@click.option(
    "--base", metavar="DIR", help="The model the adapter is for; its config.json is enough, to a point."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(folder: str, loaders: str | None, base: str | None, as_json: bool) -> None:
    """Say what programs that serve adapters make of one.

    They are PEFT, vLLM, SGLang, llama.cpp and Ollama. DIR is a PEFT LoRA folder; its config and headers are
    read, and no weight. Each program loads it, refuses it, or misreads it: loads it and does something else.
    With --base the names and shapes of modules are compared too.

    The exit code is 0 if all load it, 10 if one refuses or misreads it.
    """
    from weightarith.cli.terminal import print_json, printable
    from weightarith.hub import locate
    from weightarith.loaders import LOADERS, table, verdicts
    from weightarith.loaders import as_json as findings_as_json
    from weightarith.loaders import check as ask

    named = [name.strip() for name in loaders.split(",")] if loaders is not None else list(LOADERS)
    path = locate(folder)
    findings = ask(path, named, locate(base) if base is not None else None)
    if as_json:
        print_json({"path": str(path), "loaders": findings_as_json(findings)})
    else:
        click.echo("\n".join(map(printable, table(findings).split("\n"))))
    _leave(path, {loader: verdict for loader, verdict in verdicts(findings).items() if verdict != "loads"})


def _leave(path: Path, bad: dict[str, str]) -> None:
    """Raise UnsupportedError where a loader refuses or misreads the folder, so that the exit code says it."""
    from weightarith.errors import UnsupportedError, quoted

    if bad:
        told = ", ".join(f"{loader} {verdict}" for loader, verdict in bad.items())
        raise UnsupportedError(
            f"{quoted(str(path))} is not read as meant: {told} it", hint="see what stands under each of them"
        )
