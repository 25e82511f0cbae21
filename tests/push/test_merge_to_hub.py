"""Recipes whose output is on the Hub: kept here too, or sent file by file with about one file on the disk."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414  (a fixture)
from tests.hubserver import Hub
from tests.push import things
from tests.push.hurry import hurry
from weightarith.hub.address import Address
from weightarith.hub.upload import Upload
from weightarith.proof.remote import verify_published
from weightarith.store.stage import RECEIPT

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "me/merged"
RECIPE = """weightarith: 1
inputs: {{base: hf://org/base, ft: {{model: hf://org/tuned, minus: base}}}}
params: {{k: 0.5}}
expression: {expression}
output: {{{output}}}
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return where temporary files lie; nothing of them is to be left."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert not [one for one in place.iterdir() if one.name.startswith("weightarith-")]


def recipe(folder: Path, output: str, expression: str = "base + k*ft") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(output=output, expression=expression), encoding="utf-8")
    return path


def visible(hub: Hub, repo: str = REPO) -> dict[str, bytes]:
    if repo not in hub.repositories:
        return {}
    return {name: data for name, data in hub.files(repo).items() if name != ".gitattributes"}


@pytest.mark.parametrize("expression", ["base + k*ft", "k*ft", 'base + trim(ft, density=0.3, over="model")'])
def test_what_is_sent_file_by_file_is_what_a_push_of_the_whole_would_send(
    any_hub: Hub, tmp_path: Path, run: Run, expression: str
) -> None:
    things.parents(any_hub, tmp_path)
    path = recipe(tmp_path, "hub: me/merged, shard_size: 5kB", expression)
    ran = run("merge", path)
    assert ran.status == 0, ran.stderr
    assert run("merge", path, "-o", tmp_path / "kept").status == 0
    assert run("push", tmp_path / "kept", "me/kept").status == 0

    sent, kept = visible(any_hub), visible(any_hub, "me/kept")
    assert len([name for name in sent if name.endswith(".safetensors")]) > 2
    assert {**sent, "README.md": b""} == {**kept, "README.md": b""}
    card = kept["README.md"].decode().replace("me/kept", REPO).replace("# kept", "# merged")
    assert sent["README.md"].decode() == card
    assert ran.stdout == f"hf://me/merged@{any_hub.refs(REPO)['refs/heads/main']}\n"
    assert verify_published(Address(REPO)).differences == ()


def test_about_one_file_of_the_result_is_on_the_disk_at_any_time(
    hub: Hub, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    things.parents(hub, tmp_path)
    held: list[int] = []
    add = Upload.add

    def watched(upload: Upload, name: str, file: Path | bytes, sha256: str = "") -> None:
        held.append(len([*scratch.rglob("*.safetensors")]))
        add(upload, name, file, sha256)

    monkeypatch.setattr(Upload, "add", watched)
    assert run("merge", recipe(tmp_path, "hub: me/merged, shard_size: 5kB")).status == 0
    assert max(held) == 1
    assert len(held) > 5


def test_an_output_with_a_path_is_kept_there_and_pushed(hub: Hub, tmp_path: Path, run: Run) -> None:
    things.parents(hub, tmp_path)
    output = "path: out, hub: {repo: me/merged, private: true, tag: v1, license: mit}"
    ran = run("merge", recipe(tmp_path, output), "--json")

    assert ran.status == 0, ran.stderr
    assert ran.json["output"] == str(tmp_path / "out")
    assert ran.json["push"]["commit"] == hub.refs(REPO)["refs/tags/v1"]
    assert hub.repositories[REPO].private
    assert b"license: mit" in visible(hub)["README.md"]
    for path in (tmp_path / "out").iterdir():
        assert path.name == RECEIPT or visible(hub)[path.name] == path.read_bytes()


def test_an_output_on_the_command_line_stands_in_place_of_the_push(
    hub: Hub, tmp_path: Path, run: Run
) -> None:
    things.parents(hub, tmp_path)
    ran = run("merge", recipe(tmp_path, "hub: me/merged"), "-o", tmp_path / "out")

    assert ran.status == 0
    assert "Note: nothing is pushed to me/merged: -o replaces the recipe's output" in ran.stderr
    assert visible(hub) == {}


@pytest.mark.parametrize("kept", ["", "path: out, "])
def test_what_may_not_be_published_is_refused_before_a_weight_is_read(
    hub: Hub, tmp_path: Path, run: Run, kept: str
) -> None:
    things.parents(hub, tmp_path, tuned="mit")
    ran = run("merge", recipe(tmp_path, f"{kept}hub: me/merged"))

    assert ran.status == 4
    assert (
        "Error: its parents do not share a licence:\n  org/base: apache-2.0\n  org/tuned: mit\n" in ran.stderr
    )
    assert "try: read them, and choose: license: ID (under hub:), one of https://" in ran.stderr
    assert not (tmp_path / "out").exists()
    assert REPO not in hub.repositories
    assert run("merge", recipe(tmp_path, "hub: {repo: me/merged, license: mit}")).status == 0


def test_a_dry_run_prints_both_plans_and_sends_nothing(hub: Hub, tmp_path: Path, run: Run) -> None:
    things.parents(hub, tmp_path)
    path = recipe(tmp_path, "hub: me/merged")
    told, as_json = run("merge", path, "--dry-run"), run("merge", path, "--dry-run", "--json")

    assert (told.status, as_json.status) == (0, 0), told.stderr
    assert told.stdout.startswith("would write hf://me/merged: ")
    assert "would push a model to me/merged, branch main" in told.stdout
    assert (as_json.json["output"], as_json.json["push"]["repo"]) == ("", REPO)
    assert as_json.json["push"]["files"].keys() >= {"model.safetensors", "config.json", RECEIPT}
    assert REPO not in hub.repositories


def test_a_push_that_fails_leaves_the_output_and_says_how_to_go_on(
    hub: Hub, tmp_path: Path, run: Run
) -> None:
    things.parents(hub, tmp_path)
    hub.fail(lambda request: "/commit/" in request.path, "500", times=10**6)
    ran = run("merge", recipe(tmp_path, "path: out, hub: me/merged"))
    hub.heal()

    assert ran.status == 8
    place = tmp_path / "out"
    assert f"Note: {place} is whole, and not pushed: weightarith push {place} me/merged" in ran.stderr
    assert run("verify", tmp_path / "out").status == 0
    assert run("push", tmp_path / "out", REPO).status == 0


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("hub: merged", "4:15: 'merged' is no name of a repository, expected org/name"),
        ("hub: me/merged@main", "is no name of a repository"),
        ("hub: {private: true}", "hub needs the key repo"),
        (
            "hub: {repo: me/merged, licence: mit}",
            "unknown key 'licence'; keys of hub are repo, private, license",
        ),
        ("hub: {repo: me/merged, private: maybe}", "expected private to be true or false, found 'maybe'"),
        ("hub: {repo: me/merged, tag: v1, create_pr: true}", "has no tag"),
        ("path: out.safetensors, hub: me/merged", "is a model in a single file"),
    ],
)
def test_a_destination_that_is_none_is_an_error(
    hub: Hub, tmp_path: Path, run: Run, output: str, message: str
) -> None:
    things.parents(hub, tmp_path)
    ran = run("merge", recipe(tmp_path, output))
    assert ran.status in (2, 10)
    assert message.removeprefix("4:15: ") in ran.stderr
    assert REPO not in hub.repositories


def test_the_recipe_in_the_receipt_makes_the_same_again_and_pushes_nothing(
    hub: Hub, tmp_path: Path, run: Run
) -> None:
    things.parents(hub, tmp_path)
    run("merge", recipe(tmp_path, "hub: me/merged, shard_size: 5kB"), "-p", "k=0.25")
    commit = hub.refs(REPO)["refs/heads/main"]
    assert json.loads(visible(hub)[RECEIPT])["params"] == {"k": "0.25"}

    ran = run("reproduce", "me/merged")

    assert ran.status == 0, ran.stderr
    assert hub.refs(REPO)["refs/heads/main"] == commit


@pytest.mark.parametrize("output", ["hub: me/merged", "path: out, hub: me/merged"])
def test_a_config_that_says_where_its_model_lay_is_published_without_that(
    hub: Hub, tmp_path: Path, run: Run, output: str
) -> None:
    things.parents(hub, tmp_path)
    config = json.loads(hub.files("org/base")["config.json"])
    told = json.dumps({**config, "_name_or_path": "/home/max/models/base"}).encode()
    hub.add("org/base", {"config.json": told})

    ran = run("merge", recipe(tmp_path, output))

    assert ran.status == 0, ran.stderr
    assert json.loads(visible(hub)["config.json"]) == config


def test_another_file_that_tells_a_path_is_named_and_not_published(
    hub: Hub, tmp_path: Path, run: Run
) -> None:
    things.parents(hub, tmp_path)
    hub.add("org/base", {"generation_config.json": b'{"assistant": "/home/max/models/small"}'})

    ran = run("merge", recipe(tmp_path, "hub: me/merged"))

    assert ran.status == 3
    assert "'generation_config.json' holds the path of a folder on this machine" in ran.stderr
    assert "/home/max" not in ran.stderr
    assert REPO not in hub.repositories
