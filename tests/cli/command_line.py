"""Running the command line in this process, against nodes that run in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

from federation.cli import words
from federation.cli.demo.provinces import write_federation_file
from federation.cli.main import main
from federation.domain.permits import PermitApplication
from federation.node.home.files import (
    CURRENT_OFFICER,
    OFFICERS,
    client_folder,
    make_private_folder,
    officer_key_path,
    write_secret,
)
from federation.node.serve import running_node
from federation.protocol.ids import parse_agency_id
from tests.scenarios.provinces import ISLAND, Federation, make_federation, officer_pem

HALL = "zhejiang/330822/service-hall"
POLICE = "zhejiang/330822/police"
ACROSS_HALL = "jiangxi/361123/service-hall"
ACROSS_POLICE = "jiangxi/361123/police"


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return json.loads(self.err.splitlines()[-1])["error"]


def run(*arguments, code: int | None = 0) -> Done:
    """Runs `bridgehead` with the arguments and checks its exit code, unless any may come."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = main([str(argument) for argument in arguments])
    done = Done(ended, out.getvalue(), err.getvalue())
    assert code is None or ended == code, done
    return done


def lay_key(federation: Federation, agency: str, officer: str) -> Path:
    """The file of an officer's own key, beside the agency's profile and registered; `clerk` is who works there."""
    office = parse_agency_id(agency)
    folder = client_folder(federation.home(office.node), office) / OFFICERS
    if not (path := officer_key_path(folder, officer)).exists():
        make_private_folder(folder)
        write_secret(path, officer_pem(office, officer))
        (folder / CURRENT_OFFICER).write_text("clerk\n")
        federation.key(officer, agency=office)
    return path


class ServedNodes:
    """Four nodes at work, their homes, and a federation file that names every agency's profile."""

    def __init__(self, folder: Path, **settings: float) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.folder = folder
        self.federation: Federation = make_federation(folder, **settings)
        write_federation_file(self.federation.made)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = contextlib.AsyncExitStack()
        try:
            self._call(self._start())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._call(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        structlog.reset_defaults()

    def key(self, agency: str, officer: str) -> Path:
        return lay_key(self.federation, agency, officer)

    def ask(self, agency: str, *arguments, code=0) -> Done:
        """Runs a command of that agency, by the officer named, else by its clerk, with their own key."""
        words = [str(each) for each in arguments]
        officer = words[words.index("--officer") + 1] if "--officer" in words else "clerk"
        if re.fullmatch("[A-Za-z0-9_-]{1,64}", officer):
            self.key(agency, officer)
        return run(*arguments, "--home", self.folder, "--agency", agency, code=code)

    def delivered(self, agency: str = HALL) -> None:
        """Returns when nothing waits to be delivered by the agency's node."""
        status = (agency, "node", "status", "-o", "json")
        while any(peer["waiting_count"] for peer in self.ask(*status, code=None).json["nodes"][0]["peers"]):
            pass

    async def _start(self) -> None:
        for name in self.federation.homes:
            await self._stack.enter_async_context(running_node(self.federation.home(name), island=ISLAND))

    def _call(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(120)


def row_of(application: PermitApplication) -> dict[str, str]:
    """An application as the texts of a row."""
    holder = application.holder
    return {
        "holder_name": holder.name,
        "sex": holder.sex.value,
        "ethnicity": holder.ethnicity,
        "birth_date": holder.birth_date.isoformat(),
        "citizen_number": holder.citizen_number,
        "photo_digest": holder.photo_digest or "",
        "household_division": holder.household_division,
        "household_address": holder.household_address,
        "residence_division": application.residence_division,
        "residence_address": application.residence_address,
        "work_division": application.work_division or "",
        "issuer": application.issuer,
        "ground": application.ground.value,
        "residence_since": application.residence_since.isoformat(),
        "apply_date": application.apply_date.isoformat(),
        "accept_date": application.accept_date.isoformat(),
        "papers": ";".join(sorted(application.papers)),
        "guardian": str(application.guardian).lower(),
        "sealed": str(application.sealed).lower(),
    }


def chinese_row(row: dict[str, str]) -> dict[str, str]:
    """The same row as a county's register writes it."""
    return {words.PERMIT_FIELDS[name]: text for name, text in row.items()}
