"""Tests of the one table of words: a person never meets a word of the protocol without its Chinese."""

from __future__ import annotations

import pytest

from federation.audit.sample import PaperFinding
from federation.cli import words
from federation.cli.oversight import Judged
from federation.cli.rows import DoubtKind
from federation.cli.tree import identifier
from federation.domain.alert import AlertState
from federation.domain.alert_kinds import Colours
from federation.domain.citizen_number import Sex
from federation.domain.duty import AreaType, DutyClass
from federation.domain.duty_roster import DutyAct
from federation.domain.intake import IntakeStatus
from federation.domain.joint_policy import Standing
from federation.domain.lookups import Outcome, Urgency
from federation.domain.oversight import Finding, FlagKind, ReadingKind, SampleFinding
from federation.domain.permits import Ground, Paper, PermitStatus, RevokeReason
from federation.domain.plates import PlateClass
from federation.domain.recognition import (
    Confirmation,
    Entitlement,
    RecognitionMode,
    RecognitionOutcome,
    RecognitionReason,
)
from federation.domain.registers import EnterpriseStatus, VehicleStatus
from federation.protocol.ids import Realm
from federation.protocol.trust import Freshness
from federation.wire.agency.cases import DeliveryState
from federation.wire.agency.corrections import CorrectionStanding
from federation.wire.agency.erasure import ErasureState
from federation.wire.agency.leads import LeadStanding
from tests.cli.parts import load_parts

load_parts()
ENUMS = (
    Sex, Ground, Paper, PermitStatus, RevokeReason, RecognitionMode, RecognitionOutcome, RecognitionReason, Entitlement,
    PlateClass, VehicleStatus, EnterpriseStatus, Outcome, Urgency, IntakeStatus, Finding, FlagKind, SampleFinding,
    Colours, ReadingKind, CorrectionStanding, ErasureState, LeadStanding, DeliveryState, Standing, AlertState,
    DutyAct, AreaType, DutyClass, Confirmation, DoubtKind, Judged, Realm, Freshness, PaperFinding,
)  # fmt: skip


@pytest.mark.parametrize("enum", ENUMS)
def test_every_word_has_its_chinese_and_is_found_by_either(enum):
    """The table has just the words of the protocol; each is read back in both languages."""
    chinese = words.WORDS[enum.__name__]

    assert set(chinese) == {each.value for each in enum}
    assert {words.find_word(enum, each.value) for each in enum} == set(enum)
    assert len(set(chinese.values())) == len(chinese)
    assert {words.find_word(enum, text) for text in chinese.values()} == set(enum)
    assert words.find_word(enum, "nothing of the kind") is None


def test_table_has_no_words_that_nobody_uses():
    """Besides enums there are the provinces and the steps of a look-up."""
    assert set(words.WORDS) == {enum.__name__ for enum in ENUMS} | {"NodeName", "Step"}


def test_words_are_told_in_both_languages():
    """Chinese first; English plainer where the protocol's word is not."""
    assert words.word(Outcome.NO_HIT) == "未命中 no hit"
    assert words.word_of("NodeName", "zhejiang") == "浙江 zhejiang"
    assert words.word_of("Step", "erasure.order") == "erasure.order"
    assert words.label("case_id") == "案件 case_id"
    assert words.label("unknown") == "unknown"


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("CS-2026-0041", ("cs-2026-0041", " ＣＳ-２０２６-００４１ ", "cs—2026–0041", "CS- 2026 -0041")),
        ("BREAK-GLASS-2026-0041", ("break-glass-2026-0041",)),
        ("33082220260000015", ("330822-2026-0000015", "３３０８２２ 2026 0000015", "'33082220260000015")),
        ("33082290400100_20261130100735_0", ("33082290400100-20261130100735-0", "33082290400100 20261130100735 0")),
        ("33082299011A00_20261130100735_0", ("33082299011a00＿20261130100735＿0",)),
        ("urn:permit:330822:2026:00A123", ("URN:Permit:330822:2026:00a123", "urn：permit：330822：2026：００A123 ")),
        ("zhejiang/01a22a35-23ba-71b1-8220-85a34e5ee1d7", ("Zhejiang／01A22A35-23BA-71B1‐8220-85A34E5EE1D7",)),
        ("01a22a35-23ba-71b1-8220-85a34e5ee1d7", ("01A22A35—23BA-71B1-8220-85A34E5EE1D7",)),
        ("zhejiang/330822/police", ("ZHEJIANG/330822/police", "zhejiang／３３０８２２／police")),
    ],
)
def test_name_is_read_however_it_was_typed_and_stays_when_it_is_as_written(written, typed):
    """Case, wide signs, blanks and the dashes of paper tell no names apart; what is written is what is sent."""
    assert [identifier(each) for each in (written, *typed)] == [written] * (1 + len(typed))


@pytest.mark.parametrize("text", ["CS-2026-OO41", "3308222026000001", "330822202600000155", "urn:permіt:1", "案-1"])
def test_name_is_not_guessed(text):
    """A letter for a digit, a digit too few, one that looks alike: they stay another name, for the node to refuse."""
    assert identifier(text) == text


def test_a_name_without_chinese_is_told_once(monkeypatch):
    """Its English alone, without a bar; one with both is told in the language that is asked for."""
    monkeypatch.setenv("BRIDGEHEAD_LANG", "zh")

    assert words.pair("chunk_left", "chunk left") == "chunk left"
    assert words.pair("", "chunk left") == "chunk left"
    assert words.pair("字节数", "size") == "字节数"
    mistyped = "expected a token as it was printed: 34 signs, the last fits the others"
    assert words.error_text(mistyped, "TOKEN_FORM") == "外出凭证不对：34 位，最后一位与前面相符"
