"""外出请假 from the application to its end, by real nodes and the commands of the officers, with a line that is cut meanwhile."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

import pytest

from federation.cli.demo.provinces import stop_nodes, wait_ready, write_federation_file
from federation.domain.clock import china_day
from federation.domain.leave import WEEKDAYS
from federation.node.home.setup import override_settings
from federation.node.serve import utc_now
from federation.protocol.ids import NodeName
from tests.cli.command_line import Done, lay_key, run
from tests.ports import free_ports
from tests.scenarios.provinces import ISLAND, Federation, make_federation, start_node
from tests.scenarios.test_alert_partition import Line

ZHEJIANG, JIANGXI = NODES = (NodeName("zhejiang"), NodeName("jiangxi"))
HOME, OFFICE = "zhejiang/330822/corrections", "zhejiang/330822/justice-office"
VISITED, YUSHAN_POLICE, HALL = "jiangxi/361123/corrections", "jiangxi/361123/police", "jiangxi/361123/service-hall"
FATHER = "330822219003070018"


def days(number: int) -> str:
    return (china_day(utc_now()) + timedelta(days=number)).isoformat()


def weekdays(*numbers: int) -> str:
    """The weekdays so many days from today, in words."""
    return ",".join(WEEKDAYS[(china_day(utc_now()).weekday() + number) % 7] for number in numbers)


@dataclass
class Leave:
    """One leave, and the officers who work on it at their own nodes."""

    federation: Federation
    line: Line
    loop: asyncio.AbstractEventLoop
    code: str = ""
    tokens: list[str] = field(default_factory=list)

    def ask(self, agency: str, *arguments: str, code: int | None = 0) -> Done:
        lay_key(self.federation, agency, "clerk")
        return run(*arguments, "--home", self.federation.made.folder, "--agency", agency, code=code)

    def does(self, agency: str, act: str, *items: str, code: int = 0, **fields: str) -> Done:
        given = [text for name, value in fields.items() for text in ("--set", f"{name}={value}")]
        given += [text for item in items for text in ("--item", item)]
        return self.ask(agency, "case", "act", self.code, act, *given, code=code)

    def asked(self, number: int, *, taken: int = 0, form: str = "once") -> None:
        """Opened, with the justice office in it, its papers and the days; it stands at the decision."""
        opened = self.ask(
            HOME, "case", "open", "corrections-leave", "--role", "home", "--division", "330822", "-o", "json"
        )
        self.code = opened.json["line"]["code"]
        self.ask(HOME, "case", "invite", self.code, OFFICE, "office")
        self.ask(OFFICE, "case", "join", self.code)
        person = f"corr_person;name=林谷雨;sex=male;number={FATHER};address=常山县示例路9号"
        route = "corr_route;county=361123;purpose=送女儿过桥上学;weekdays=周一至周五;hours=07:00-08:30"
        self.does(OFFICE, "file_application", person, route, starts=days(0))
        for kind in ("application", "proof"):
            self.does(OFFICE, "attach_paper", paper_kind=kind, manifest=sha256(kind.encode()).hexdigest())
        self.does(OFFICE, "choose_form", form=form, days=str(number), taken=str(taken))
        self.does(OFFICE, "move", to="deciding")

    def crossing(self, *, begins: int = 0) -> None:
        """Recurring crossings of six months, granted and issued."""
        self.asked(180, form="recurring")
        self.does(HOME, "grant_recurring", number="1", begins=days(begins), until=days(begins + 180))
        self.does(HOME, "move", to="recurring")
        self.does(HOME, "issue_permit", number="外出证1号", day=days(0))

    def token(self, *options: str) -> str:
        printed = self.ask(HOME, "case", "token", self.code, "--counties", "361123", *options, "-o", "json").json
        self.tokens.append(printed["token"])
        return str(printed["token"])

    def today(self, token: str, *options: str, code: int | None = 0) -> Done:
        return self.ask(VISITED, "case", "today", token, *options, code=code)

    def connected(self, is_up: bool) -> None:
        """Cuts the line into Changshan's node, or mends it."""
        if is_up:
            asyncio.run_coroutine_threadsafe(self.line.mend(), self.loop).result(60)
        else:
            done = threading.Event()
            self.loop.call_soon_threadsafe(lambda: (self.line.cut(), done.set()))
            assert done.wait(60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leave]:
    federation = make_federation(tmp_path_factory.mktemp("leave"), intake_seconds=0.2)
    write_federation_file(federation.made)
    known = [home.settings for home in federation.homes.values()]
    taken = {port for each in known for port in (each.peer_port, each.agency_port, each.read_port)}
    behind = next(port for port in free_ports(1 + len(taken)) if port not in taken)
    port, path = federation.homes[ZHEJIANG].settings.peer_port, federation.home(ZHEJIANG) / "node.toml"
    moved = {"peer_port": behind, "advertise_peer": f"127.0.0.1:{port}"}
    path.write_text(override_settings(path.read_text("utf-8"), moved), "utf-8")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    leave = Leave(federation, Line(port, behind), loop)
    leave.connected(True)
    try:
        for name in NODES:
            start_node(federation.made, name, island=ISLAND)
        wait_ready(federation.made, NODES)
        yield leave
    finally:
        stop_nodes(federation.made)
        leave.connected(False)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def leave(served: Leave) -> Leave:
    """A leave of its own at the nodes that all share."""
    return Leave(served.federation, served.line, served.loop)


def test_father_takes_his_daughter_to_school_over_the_bridge(leave: Leave) -> None:
    """S1: yes on a day of the permit, in any writing; no on another; police are refused; his report names the office."""
    leave.crossing()
    sunday = leave.token("--weekdays", weekdays(3, 4))
    assert "否" in leave.today(sunday).out
    token = leave.token("--weekdays", weekdays(0, 1))
    assert re.search("是.*yes", leave.today(token).out)
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in token.lower())
    answer = leave.ask(VISITED, "case", "today", wide, "-o", "json").json
    assert (answer["authorised"], answer["day"] in (days(0), days(-1))) == (True, True)
    assert "林谷雨" not in str(answer)
    assert FATHER not in str(answer)
    assert "否" in leave.today(sunday).out  # the newest alone lives

    refused = leave.ask(YUSHAN_POLICE, "case", "today", token, code=1)
    assert "社区矫正机构" in refused.out
    mistyped = leave.today(token[:-1] + ("2" if token[-1] != "2" else "3"), code=2)
    assert "TOKEN_FORM" in mistyped.err
    report = leave.ask(HALL, "subject", "report", FATHER, "--identity-checked", code=None).out
    assert re.search(r"年\d+月\d+日，玉山县社区矫正管理局核验了您的外出凭证，得到的答复仅为‘是’。", report)
    assert "得到的答复仅为‘否’。" in report

    leave.does(HOME, "renew_permit", other="zhejiang/01936000-0000-7000-8000-000000000003")
    leave.ask(HOME, "case", "close", leave.code, "renewed")
    assert "否" in leave.today(token).out


def test_eight_days_go_up_and_what_was_taken_in_two_months_counts(leave: Leave) -> None:
    """S2: the justice office is refused, the county grants; 25 days before go to the body above, the procuratorate told."""
    granted = {"number": "1", "begins": days(0), "until": days(8)}
    leave.asked(8)
    assert "CONDITION_MISSING" in leave.does(OFFICE, "grant_short", code=1, **granted).err
    leave.does(HOME, "grant_leave", **granted)
    leave.does(HOME, "move", to="away")
    leave.does(OFFICE, "depart", day=days(0))
    token = leave.token()
    assert "是" in leave.today(token).out
    leave.does(OFFICE, "report_back", day=days(0))
    assert "否" in leave.today(token).out
    leave.ask(OFFICE, "case", "close", leave.code, "returned")

    leave.asked(8, taken=25)
    assert "CONDITION_MISSING" in leave.does(HOME, "grant_leave", code=1, **granted).err
    leave.does(HOME, "ask_superior", number="1", day=days(0))
    leave.does(HOME, "file_superior_decision", manifest="ab" * 32)
    leave.does(HOME, "grant_leave", **granted)
    assert "CONDITION_MISSING" in leave.does(HOME, "move", to="away", code=1).err
    leave.does(HOME, "tell_procuratorate", number="1", day=days(0))
    leave.does(HOME, "move", to="away")


def test_who_is_not_back_is_late_and_searched(leave: Leave) -> None:
    """The node writes that the last day is over; the token says no, and the case is never closed as returned."""
    leave.asked(5)
    leave.does(OFFICE, "grant_short", number="1", begins=days(-4), until=days(-1))
    leave.does(HOME, "move", to="away")
    leave.does(OFFICE, "depart", day=days(-4))
    token = leave.token()
    assert "否" in leave.today(token).out
    while "overdue" not in leave.ask(HOME, "case", "history", leave.code, "-o", "json").out:
        pass
    assert leave.ask(HOME, "case", "close", leave.code, "returned", code=1)
    leave.does(HOME, "move", to="late")
    leave.does(OFFICE, "search_step", how="phone")
    leave.does(OFFICE, "found", day=days(0))
    leave.does(HOME, "tell_procuratorate", number="1", day=days(0))
    leave.ask(HOME, "case", "close", leave.code, "late")


def test_cut_line_is_no_no_and_a_revocation_counts_once_it_was_told(leave: Leave) -> None:
    """S3: it cannot be verified, with whom to call; revoked meanwhile the paper still counts until its person was told."""
    leave.crossing()
    token = leave.token()
    assert "是" in leave.today(token).out
    leave.connected(False)
    request = ("--request-id", str(uuid.uuid4()))
    away = leave.today(token, *request, code=3)
    assert "无法核实" in away.out
    assert "常山县社区矫正管理局 100-0000-1301" in away.out
    assert "：否" not in away.out
    leave.does(HOME, "revoke_permit", number="2", day=days(0))
    leave.connected(True)
    while (answer := leave.today(token, *request, code=None)).code == 3:  # the same question: it is counted once
        pass
    assert "是" in answer.out
    leave.does(HOME, "tell_person", what="ended", day=days(0))
    assert "否" in leave.today(token).out
    assert "是" in leave.today(token, *request).out  # what was answered stays answered
    leave.ask(HOME, "case", "close", leave.code, "revoked")
