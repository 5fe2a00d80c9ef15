"""The containers of docker-compose.yml: what keeps what, and their commands run as processes on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.cli.command_line import run
from tests.e2e.page_blocks import REPOSITORY
from tests.forked import write_program
from tests.ports import free_ports
from tests.postgresql import run_sql, running_postgresql, url_of
from tests.scenarios.provinces import ALL

COMPOSE = REPOSITORY / "docker-compose.yml"
SECONDS = 600


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def mounts(service: dict) -> dict[str, str]:
    """The volume behind each path of a container."""
    return {path: volume for volume, path, *_ in (each.split(":") for each in service["volumes"])}


def test_compose_file_is_read_by_docker():
    """The client itself reads it, where one is installed."""
    known = shutil.which("docker") and subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    )
    if not known or known.returncode:
        pytest.skip("no docker compose here; the other tests read the file as YAML")
    subprocess.run(["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"], check=True)


def test_each_province_has_its_own_home_and_its_own_database_that_stay(compose):
    """No container but a province's own sees its keys; every log lies on a named volume; nobody else reaches its database."""
    services = compose["services"]
    for name in ALL:
        home, database = f"{name}-home", f"{name}-db"
        assert mounts(services[name]) == {"/data": home}
        assert mounts(services[f"{name}-setup"]) == {"/data": home, "/travel": "travel"}
        assert mounts(services[database]) == {"/var/lib/postgresql/data": database}
        assert services[database]["networks"] == [name]
        assert {home, database} <= compose["volumes"].keys()
        assert services[name]["depends_on"][f"{name}-setup"] == {"condition": "service_completed_successfully"}
        seen_by = {each for each, service in services.items() if home in mounts(service).values()}
        assert seen_by - {"audit"} == {name, f"{name}-setup"}
    assert [each for each in services["audit"]["volumes"] if "-home" in each] == ["zhejiang-home:/data:ro"]


def write_python(folder: Path) -> None:
    """Writes the `python` that the containers name: our command begins out of a process that has imported it already."""
    folder.mkdir()
    write_program(folder / "bridgehead")
    ours = f'[ "$1 $2" = "-m federation.cli.main" ] && shift 2 && exec {folder}/bridgehead "$@"'
    (folder / "python").write_text(f'#!/bin/sh\n{ours}\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)


class Containers:
    """The same commands as plain processes: volumes are folders, and each node has ports of its own."""

    def __init__(self, compose: dict, folder: Path, uri: str) -> None:
        self.folder, self._services = folder, compose["services"]
        ports = iter(free_ports(3 * len(ALL)))
        self.programs = folder / "bin"
        write_python(self.programs)
        self.settings: dict[str, dict[str, str]] = {}
        for name in ALL:
            self.settings[name] = {f"BRIDGEHEAD_{each}_PORT": str(next(ports)) for each in ("PEER", "AGENCY", "READ")}
            database = {
                "BRIDGEHEAD_DATABASE": url_of(uri, name),
                "BRIDGEHEAD_HOST": "127.0.0.1",
                "BRIDGEHEAD_ADVERTISE": "",
            }
            self.settings[name] |= database
            run_sql(uri, f"CREATE DATABASE {name}")

    def start(self, service: str) -> subprocess.Popen[bytes]:
        """Starts the command of a service where its volumes lie."""
        made = self._services[service]
        command = made["command"].split() if isinstance(made["command"], str) else made["command"]
        entry = made.get("entrypoint", [str(self.programs / "python"), "-m", "federation.cli.main"])
        name = service.removesuffix("-setup")
        given = {key: str(value) for key, value in made.get("environment", {}).items()} | self.settings.get(name, {})
        with (self.folder / f"{service}.log").open("ab") as log:
            return subprocess.Popen(
                [self._placed(each, service) for each in (*entry, *command)],
                cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **given, "PATH": f"{self.programs}:{os.environ['PATH']}"},
            )  # fmt: skip

    def _placed(self, text: str, service: str) -> str:
        for path, volume in mounts(self._services[service]).items():
            text = text.replace(f"{path}/", f"{self.volume(volume)}/")
        return text.replace("$$", "$")

    def volume(self, name: str) -> Path:
        path = self.folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def set_up(self) -> None:
        """All four at once, as `up` does."""
        processes = {name: self.start(f"{name}-setup") for name in ALL}
        assert {name: process.wait(SECONDS) for name, process in processes.items()} == dict.fromkeys(ALL, 0), (
            self.said()
        )

    def serve(self) -> list[subprocess.Popen[bytes]]:
        """Starts the four nodes; they are healthy by the check of their containers when this returns."""
        processes = [self.start(name) for name in ALL]
        try:
            for name in ALL:
                self._wait_healthy(name)
        except BaseException:
            stop(processes)
            raise
        return processes

    def _wait_healthy(self, name: str) -> None:
        _, _python, option, program = self._services[name]["healthcheck"]["test"]
        program = program.replace(":7103/", f":{self.settings[name]['BRIDGEHEAD_READ_PORT']}/")
        end = time.monotonic() + SECONDS
        while subprocess.run([sys.executable, option, program], capture_output=True, check=False).returncode:
            assert time.monotonic() < end, self.said()
            time.sleep(0.2)

    def audit(self) -> str:
        """Runs the auditor's container once."""
        code = self.start("audit").wait(SECONDS)
        assert code == 0, self.said()
        return (self.folder / "audit.log").read_text()

    def said(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(SECONDS)


def test_containers_are_set_up_again_after_a_death_and_keep_their_logs(compose, tmp_path, monkeypatch):
    """A set-up that died anywhere is run again; what was written before `down` is there after `up`, and verifies."""
    with running_postgresql() as server:
        containers = Containers(compose, tmp_path, server.get_uri())
        begun = containers.volume("fujian-home") / "home.partial"
        begun.mkdir()
        (begun / "node.toml").write_text("died here")
        (containers.volume("travel") / "draft.partial" / "metadata").mkdir(parents=True)
        bundle = containers.volume("travel") / "bundles" / "zhejiang.json"
        dying = containers.start("zhejiang-setup")  # waits for the bundles of the others, and dies
        while not bundle.exists():
            assert dying.poll() is None, containers.said()
            time.sleep(0.05)
        os.killpg(dying.pid, 9)
        dying.wait()
        handed_out = bundle.read_bytes()

        containers.set_up()
        containers.set_up()

        assert bundle.read_bytes() == handed_out
        keys = [(containers.volume(f"{name}-home") / "home/keys") for name in ALL]
        assert len({path.read_bytes() for folder in keys for path in folder.glob("*message*")}) == len(ALL)
        running = containers.serve()
        try:
            home = containers.volume("zhejiang-home") / "home"
            office = ("--home", home, "--agency", "zhejiang/330822/service-hall")
            for name, value in containers.settings["zhejiang"].items():
                monkeypatch.setenv(name, value)  # as in the container, where an operator's commands run
            first = run("lookup", "key", "new", "--officer", "admin-1", *office).out
            run("keys", "administrator", first, "--home", home)
            offer = run("lookup", "key", "new", "--officer", "officer-1", *office).out
            run("lookup", "key", "register", offer, "--officer", "admin-1", *office)
            run("permit", "import", "--synthetic", "8", *office)
            assert "通过 PASS" in containers.audit()
            stop(running)
            running = containers.serve()
            assert len(run("permit", "list", *office, "-o", "json").json["permits"]) == 8
            assert containers.audit().count("通过 PASS") == 2
        finally:
            stop(running)
