"""What ends by the calendar is said before, in steps, and once it has ended: in the status and in the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.node.endings import Ending, ending_warnings, find_endings, log_endings
from federation.node.home.agreement import load_home_agreement
from federation.node.home.certificates import LEAF_LIFETIME, renew_tls
from federation.node.serve import utc_now
from federation.protocol.form import replace
from tests.scenarios.provinces import make_federation


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_federation(tmp_path_factory.mktemp("endings")).home("zhejiang")


def endings(home: Path) -> tuple[Ending, ...]:
    agreement = load_home_agreement(home, now=utc_now())
    return find_endings(home, replace(agreement, expires_time=utc_now() + timedelta(days=1000)))


def after(days: float) -> datetime:
    """A moment that many days after the certificates were made."""
    return utc_now() + timedelta(days=days)


def test_new_home_is_warned_of_nothing(made: Path) -> None:
    """Both sides, their authorities and each agency are looked at; all are far."""
    found = endings(made)

    names = {each.name for each in found}
    assert {"agreement", "tls/peer.crt", "tls/agency.crt", "tls/peer-ca.crt", "tls/agency-ca.crt"} <= names
    assert "clients/330822-police/client.crt" in names
    assert list(ending_warnings(found, utc_now())) == []


def test_ten_days_before_the_end_status_names_file_day_and_command(made: Path) -> None:
    """The node's own two by name; of the agencies' the first, and how many more."""
    day = f"{utc_now() + LEAF_LIFETIME:%Y-%m-%d}"
    said = list(ending_warnings(endings(made), after(80)))

    peer = next(each for each in said if each.startswith("tls/peer.crt"))
    assert f"ends on {day}, 9 days left: bridgehead keys renew" in peer
    assert "到期，还有 9 天" in peer
    (clients,) = (each for each in said if each.startswith("clients/"))
    assert clients.endswith("bridgehead keys client")
    assert " more ends on" in clients
    assert len(said) == 3


def test_once_ended_status_says_since_when(made: Path) -> None:
    """A day after the end nobody is told that days are left."""
    said = list(ending_warnings(endings(made), after(91)))

    assert all("已于" in each and "ended on" in each for each in said)
    assert any(each.startswith("tls/agency.crt") for each in said)


def test_renewed_certificate_is_warned_of_no_more(made: Path) -> None:
    """The files are read again each time."""
    renew_tls(made, hosts=["localhost"], now=after(80))
    said = list(ending_warnings(endings(made), after(81)))
    renew_tls(made, hosts=["localhost"], now=utc_now())

    assert said
    assert all(each.startswith("clients/") for each in said)


@pytest.mark.parametrize(
    ("days", "step"), [(31, None), (30, 30), (8, 30), (7, 7), (2, 7), (1, 1), (0.1, 1), (0, 0), (-5, 0)]
)
def test_steps_are_thirty_seven_and_one_day(days: float, step: int | None) -> None:
    """The nearest step that was reached; 0 is the end."""
    now = utc_now()
    assert Ending(name="x", time=now + timedelta(days=days), renewed_by="y").step(now) == step


def test_each_step_is_logged_once() -> None:
    """An operator's log gets one line a step, and another when the new certificate comes to its end."""
    now, said = utc_now(), {}
    old = Ending(name="tls/peer.crt", time=now + timedelta(days=20), renewed_by="bridgehead keys renew")
    new = Ending(name="tls/peer.crt", time=now + timedelta(days=110), renewed_by="bridgehead keys renew")

    with capture_logs() as lines:
        for day in range(22):
            log_endings([old], now + timedelta(days=day), said)
        log_endings([new], now + timedelta(days=22), said)
        log_endings([new], now + timedelta(days=90), said)

    assert [(line["event"], line.get("days_left")) for line in lines] == [
        ("ending.near", 20), ("ending.near", 7), ("ending.near", 1), ("ending.passed", None), ("ending.near", 20),
    ]  # fmt: skip
    assert lines[0]["renewed_by"] == "bridgehead keys renew"


def test_certificate_that_cannot_be_read_is_named_and_hides_no_other(made: Path) -> None:
    """It counts as ended; the others are said as before."""
    file = made / "tls" / "peer.crt"
    kept = file.read_bytes()
    file.write_bytes(b"no certificate")
    try:
        said = list(ending_warnings(endings(made), after(80)))
    finally:
        file.write_bytes(kept)

    assert "tls/peer.crt 无法读取：bridgehead keys renew | tls/peer.crt cannot be read: bridgehead keys renew" in said
    assert any(each.startswith("tls/agency.crt") for each in said)
