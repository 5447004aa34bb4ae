"""The data folder: whose it is, who runs on it, what is secret in it."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.credentials import KEY_SCOPES, load_or_create
from devstack.errors import StackError
from devstack.folder import MARKER, open_folder

HOLD = """
import sys, pathlib
from devstack.folder import open_folder
with open_folder(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_stack_on_the_same_data_is_told_who_runs(tmp_path: Path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(StackError, match=rf"already runs on .* \(pid {holder.pid}\)"), open_folder(tmp_path):
            pass

        holder.kill()
    with open_folder(tmp_path) as folder:
        assert folder.path == tmp_path


def test_somebody_elses_folder_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(StackError, match="not empty"), open_folder(tmp_path):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_path_that_cannot_be_a_folder_is_one_clear_line(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StackError, match="cannot be used as data folder"), open_folder(tmp_path / "file" / "data"):
        pass


def test_clearing_deletes_everything_but_the_marker_and_the_lock(tmp_path: Path):
    with open_folder(tmp_path) as folder:
        load_or_create(folder.secrets)
        (folder.world_data / "ledger.jsonl").write_text("{}\n")

        folder.clear()

        assert sorted(path.name for path in tmp_path.iterdir()) == [MARKER, "lock"]


def test_clearing_takes_the_postgres_place_with_it(tmp_path: Path):
    place = tmp_path / "place"
    place.mkdir()

    with open_folder(tmp_path / "data") as folder:
        folder.claim_postgres_place(place)
        folder.clear()

    assert not place.exists()


def test_a_copied_folder_shares_neither_cluster_nor_processes_with_the_original(tmp_path: Path):
    place = tmp_path / "place"
    place.mkdir()
    with open_folder(tmp_path / "data") as original:
        original.claim_postgres_place(place)
        original.write_children({"api": (4_711, 1.5)})
    shutil.copytree(tmp_path / "data", tmp_path / "copy")

    with open_folder(tmp_path / "copy") as copy:
        assert copy.postgres_place() is None
        assert copy.read_children() == {}
        copy.clear()

    assert place.exists()


def test_a_moved_folder_keeps_its_cluster(tmp_path: Path):
    place = tmp_path / "place"
    place.mkdir()
    with open_folder(tmp_path / "data") as folder:
        folder.claim_postgres_place(place)
    (tmp_path / "data").rename(tmp_path / "moved")

    with open_folder(tmp_path / "moved") as folder:
        assert folder.postgres_place() == place


def test_secrets_are_random_kept_and_only_the_owners(tmp_path: Path):
    first = load_or_create(tmp_path / "secrets.json")
    again = load_or_create(tmp_path / "secrets.json")
    elsewhere = load_or_create(tmp_path / "others.json")

    assert first == again
    assert mode(tmp_path / "secrets.json") == 0o600
    assert set(first.keys) == set(KEY_SCOPES)
    assert set(first.keys.values()).isdisjoint(elsewhere.keys.values())
    assert first.stripe_webhook_secret.startswith("whsec_")


def test_a_secret_that_an_older_version_did_not_know_is_added(tmp_path: Path):
    path = tmp_path / "secrets.json"
    path.write_text('{"postgres_password": "kept", "keys": {"admin": "kept too"}}')

    credentials = load_or_create(path)

    assert credentials.postgres_password == "kept"
    assert credentials.keys["admin"] == "kept too"
    assert credentials.keys["storefront"]


def test_the_running_stack_is_named_for_its_owner_only_and_forgotten(tmp_path: Path):
    with open_folder(tmp_path) as folder:
        folder.write_stack({"api_url": "http://127.0.0.1:1"})
        folder.write_children({"api": (4_711, 1.5)})

        assert mode(folder.stack_file) == 0o600
        assert folder.read_children() == {"api": (4_711, 1.5)}

        folder.forget_stack()

        assert not folder.stack_file.exists()
        assert folder.read_children() == {}
