"""Pushes to a Hub on the loopback: what arrives, who may see it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.hubserver import Hub
from tests.push import things
from tests.push.hurry import hurry
from weightarith.cli import cli
from weightarith.errors import HubError, IncompatibleError, TargetError, VerificationError, WeightArithError
from weightarith.hub.address import Address
from weightarith.proof.remote import verify_published
from weightarith.publish import Pushed, Wish, carry_out, draw

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "me/thing"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def push(path: Path, **more: object) -> Pushed:
    return carry_out(draw(path, Wish(REPO, **more)))  # type: ignore[arg-type]


def front(hub: Hub, repo: str = REPO) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(hub.files(repo)["README.md"].decode().split("---\n")[1])
    return found


def test_a_vector_arrives_with_its_card_and_its_receipt(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    path = things.vector(tmp_path)
    push(path)
    files = any_hub.files(REPO)
    assert set(files) - {".gitattributes"} == {
        "vector.safetensors", "weightarith.json", "README.md", "meta.yaml",
    }  # fmt: skip
    assert files["vector.safetensors"] == path.read_bytes()
    assert front(any_hub) == {
        "base_model": ["org/base", "org/tuned"],
        "base_model_relation": "adapter",
        "library_name": "weightarith",
        "license": "apache-2.0",
        "tags": ["weightarith", "weight-vector", "task-arithmetic"],
    }
    assert not any_hub.repositories[REPO].private


def test_what_arrived_is_what_its_receipt_says(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    for path in (things.vector(tmp_path), things.model(tmp_path), things.adapter(tmp_path)):
        repo = f"me/{path.stem}"
        carry_out(draw(path, Wish(repo)))
        verdict = verify_published(Address(repo), deep=True, sha256=True)
        assert verdict.differences == ()
        receipt = things.receipt_in(any_hub, repo)
        assert [one["path"][:9] for one in receipt["inputs"] if "hub" in one] == ["hf://org/"] * sum(
            "hub" in one for one in receipt["inputs"]
        )


def test_a_model_is_one_commit_and_names_all_parents(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    path = things.model(tmp_path)
    done = push(path)
    files = any_hub.files(REPO)
    assert {name: data for name, data in files.items() if name.endswith(".safetensors")} == {
        one.name: one.read_bytes() for one in path.glob("*.safetensors")
    }
    assert len(any_hub.commits(REPO)) == 2
    assert front(any_hub)["base_model"] == ["org/base", "org/tuned"]
    assert front(any_hub)["base_model_relation"] == "merge"
    assert done.commit == any_hub.refs(REPO)["refs/heads/main"]


def test_an_unchanged_output_is_nothing_to_push(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    first, again = push(things.model(tmp_path)), push(tmp_path / "merged")
    assert again.commit == first.commit
    assert again.changed == ()
    assert len(hub.commits(REPO)) == 2


def test_shards_of_an_earlier_push_go_and_what_people_added_stays(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    push(things.model(tmp_path))
    assert "model.safetensors.index.json" in hub.files(REPO)
    hub.add(REPO, {"examples.md": b"mine"})
    push(things.model(tmp_path, 0.25, shard_size=10**6))
    names = set(hub.files(REPO))
    assert "examples.md" in names
    assert {name for name in names if "safetensors" in name} == {"model.safetensors"}


def test_a_push_may_be_a_pull_request_a_branch_and_a_tag(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    first = push(path, tag="v1")
    assert hub.refs(REPO)["refs/tags/v1"] == first.commit
    assert push(path, tag="v1").changed == ()
    things.model(tmp_path)
    done = push(tmp_path / "merged", as_request=True)
    assert done.reference == "refs/pr/1"
    assert hub.refs(REPO)["refs/heads/main"] == first.commit
    push(path, revision="next", overwrite=True)
    assert "refs/heads/next" in hub.refs(REPO)


def test_a_tag_of_another_commit_is_refused_before_anything_is_sent(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    first = push(things.model(tmp_path), tag="v1")
    path = things.model(tmp_path, 0.25)
    hub.move(REPO)
    hub.requests.clear()
    with pytest.raises(TargetError, match=f"has a tag 'v1', of commit {first.commit[:12]}"):
        push(path, tag="v1")
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize("how", ["private", "gated"])
def test_a_restricted_parent_makes_a_new_repository_private(hub: Hub, tmp_path: Path, how: str) -> None:
    things.parents(hub, tmp_path, private=how == "private", gated=how == "gated")
    plan = draw(things.vector(tmp_path), Wish(REPO))
    assert plan.visibility == f"private, because org/tuned is {how}"
    carry_out(plan)
    assert hub.repositories[REPO].private


def test_a_parent_that_the_hub_does_not_show_makes_it_private(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    del hub.repositories["org/tuned"]
    plan = draw(path, Wish(REPO, licence="mit"))
    assert plan.visibility == "private, because org/tuned is not to be seen on the Hub"


def test_what_should_be_private_does_not_go_into_a_public_repository(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path, gated=True)
    path = things.vector(tmp_path)
    hub.add(REPO, {".gitattributes": b""})
    with pytest.raises(
        TargetError, match="me/thing is public, and this should be private: org/tuned is gated"
    ):
        draw(path, Wish(REPO))
    assert not carry_out(draw(path, Wish(REPO, private=False))).commit.startswith("0" * 8)


def test_parents_of_two_licences_leave_the_choice_to_a_person(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path, tuned="llama3.1")
    path = things.vector(tmp_path)
    with pytest.raises(IncompatibleError) as caught:
        draw(path, Wish(REPO))
    assert caught.value.message == (
        "its parents do not share a licence:\n  org/base: apache-2.0\n  org/tuned: llama3.1"
    )
    assert "--license ID" in caught.value.hint
    push(path, licence="llama3.1")
    assert front(hub)["license"] == "llama3.1"


def test_a_parent_without_a_licence_leaves_the_choice_to_a_person(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path, tuned="")
    with pytest.raises(IncompatibleError, match="org/tuned: says nothing"):
        draw(things.vector(tmp_path), Wish(REPO))


def test_files_that_weightarith_did_not_write_are_not_replaced(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    hub.add(REPO, {"README.md": b"mine"})
    with pytest.raises(TargetError, match="me/thing holds files that weightarith did not write"):
        draw(path, Wish(REPO))
    assert push(path, as_request=True).reference == "refs/pr/1"
    assert push(path, overwrite=True).reference == "main"


def test_something_of_another_kind_is_not_replaced(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    push(things.vector(tmp_path))
    with pytest.raises(TargetError, match="holds something of kind vector, and this is of kind checkpoint"):
        draw(things.model(tmp_path), Wish(REPO))


def test_only_files_of_the_list_are_published(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.model(tmp_path)
    wanted = {one.name for one in path.iterdir()} | {"README.md", ".gitattributes"}
    things.noise(path)
    plan = draw(path, Wish(REPO))
    carry_out(plan)
    assert set(hub.files(REPO)) == wanted
    assert {one.name: one.why for one in plan.left_out} == {
        ".cache/": "hidden", ".env": "hidden", ".git/": "hidden", "LICENSE.txt": "a link",
        "data/": "training data", "modeling.py": "a program", "model.lock": "a lock",
        "notes.txt": "not on the list of what is published", "optimizer.pt": "the state of a training",
        "pytorch_model.bin": "a pickle, which runs code when it is opened",
        "training_args.bin": "the state of a training",
    }  # fmt: skip


def test_a_file_that_is_not_its_receipts_is_not_published(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.model(tmp_path)
    config = path / "config.json"
    config.write_bytes(config.read_bytes() + b"\n")
    with pytest.raises(VerificationError, match=r"is not what its receipt says: 'config\.json'"):
        draw(path, Wish(REPO))
    config.write_bytes(config.read_bytes()[:-2] + b" ")
    with pytest.raises(VerificationError, match=r"'config\.json' is not what its receipt says"):
        push(path)


def test_a_dry_run_sends_nothing_and_says_everything(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    hub.requests.clear()
    found = CliRunner().invoke(cli, ["push", str(path), REPO, "--dry-run"])
    assert found.exit_code == 0
    assert "would push a vector to me/thing, branch main\n  public\n  licence apache-2.0" in found.stdout
    assert "vector.safetensors  26.7 kB, new" in found.stdout
    assert "base_model_relation: adapter" in found.stdout
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    assert REPO not in hub.repositories


def test_the_command_prints_the_pinned_address(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    found = CliRunner().invoke(cli, ["push", str(path), REPO, "--tag", "v1"])
    commit = hub.refs(REPO)["refs/tags/v1"]
    assert found.stdout == f"hf://me/thing@{commit}\n"
    assert "every hash on the Hub is the one here" in found.stderr
    again = CliRunner().invoke(cli, ["push", str(path), REPO])
    assert again.stderr.startswith("nothing to push: main of me/thing holds all of it already")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish("thing"), "'thing' is no name of a repository, expected org/name"),
        (Wish("me/thing@v1"), "'me/thing@v1' is no name of a repository"),
        (Wish(REPO, tag="a b"), "'a b' is no name of a tag"),
        (Wish(REPO, as_request=True, tag="v1"), "so --tag does not go with it"),
    ],
)
def test_a_wish_without_meaning_is_refused(tmp_path: Path, wish: Wish, message: str) -> None:
    with pytest.raises(WeightArithError, match=message):
        draw(tmp_path, wish)


def test_offline_nothing_is_pushed_and_a_dry_run_says_so(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    plan = draw(path, Wish(REPO))  # the licence is that of the cards in the cache
    assert (plan.stand, plan.decision.licence.id) == (None, "apache-2.0")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        carry_out(plan)
    assert hub.requests == []
