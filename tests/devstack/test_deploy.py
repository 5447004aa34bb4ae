"""The files for containers ask for nothing that is not written, and hold no secret."""

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from devstack.children import ROOT

MAKE_ENV = ROOT / "deploy" / "make_env.py"
COMPOSE = ROOT / "docker-compose.yml"


def make_env(file: Path, *options: str) -> dict[str, str]:
    """The variables that make_env.py wrote."""
    subprocess.run([sys.executable, str(MAKE_ENV), "--file", str(file), *options], check=True, capture_output=True)
    return dict(re.findall(r"^(\w+)='(.*)'$", file.read_text(), flags=re.MULTILINE))


def test_everything_that_compose_requires_is_written(tmp_path: Path):
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))

    for options in ([], ["--world"]):
        assert required <= set(make_env(tmp_path / f"env{len(options)}", *options))


def test_what_is_written_for_the_played_world_fits_together(tmp_path: Path):
    written = make_env(tmp_path / "env", "--world")
    world, keys = json.loads(written["DOORSTEP_WORLD"]), json.loads(written["DOORSTEP_KEYS"])

    assert all(written.values())
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    assert world["warehouse_key"] == keys["warehouse"]["secret"]
    assert world["stripe_webhook_secret"] == written["STRIPE_WEBHOOK_SECRET"]
    carriers = json.loads(written["DOORSTEP_CARRIERS"])
    assert {name: each["secret"] for name, each in carriers.items()} == {
        name: each["secret"] for name, each in world["carriers"].items()
    }


def test_secrets_in_use_are_not_overwritten(tmp_path: Path):
    before = make_env(tmp_path / "env")

    again = subprocess.run(
        [sys.executable, str(MAKE_ENV), "--file", str(tmp_path / "env")], capture_output=True, check=False
    )

    assert again.returncode == 1
    assert dict(re.findall(r"^(\w+)='(.*)'$", (tmp_path / "env").read_text(), flags=re.MULTILINE)) == before


def test_every_service_that_stays_up_has_a_health_check():
    services = yaml.safe_load(COMPOSE.read_text())["services"]

    stay = {name for name, service in services.items() if service.get("restart") == "unless-stopped"}

    assert {"postgres", "temporal", "temporal-ui", "api", "worker", "world"} == stay
    assert all("healthcheck" in services[name] for name in stay)
    assert services["world"]["profiles"] == ["world"]
    assert not [name for name, service in services.items() if "auto-setup" in service.get("image", "")]


def test_compose_itself_accepts_the_file(tmp_path: Path):
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine has no docker compose")
    make_env(tmp_path / "env", "--world")

    done = subprocess.run(
        [docker, "compose", "-f", str(COMPOSE), "--env-file", str(tmp_path / "env"), "--profile", "world", "config"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
