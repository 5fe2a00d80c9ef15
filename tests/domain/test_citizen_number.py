"""GB 11643: what is refused, what is only doubted, and who may appear in which realm."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.exceptions import InvalidComponent

from federation.domain.citizen_number import (
    age_on,
    check_character,
    demo_birth_date,
    find_number_doubt,
    format_citizen_number,
    names_by_number,
    true_birth_date,
    verify_birth_realm,
    verify_citizen_number,
)
from federation.domain.division import DIVISIONS, PROVINCE_CODES
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import Realm

PUBLISHED = [
    ("330822219003070018", "0026"), ("361123219003070012", "0020"), ("330824219003070010", "0029"),
    ("330881219003070018", "0026"), ("361103219003070017", "0025"), ("361130219003070016", "0024"),
    ("361181219003070016", "0024"), ("350722219003070016", "0024"), ("350782219003070012", "0020"),
    ("341022219003070017", "0025"), ("341021219003070010", "0029"), ("330803219003070019", "0027"),
]  # fmt: skip
DEMO_DATES = st.dates(date(2100, 1, 1), date(2299, 12, 31))
DIVISION_CODES = st.sampled_from(sorted(DIVISIONS))


def real_number(division: str, born: date, sequence: int = 1) -> str:
    """A number of today, put together at run time only."""
    return format_citizen_number(division, born, sequence=sequence)


@pytest.mark.parametrize(("male", "female_end"), PUBLISHED)
def test_verify_published_vectors_passes_without_a_doubt(male, female_end):
    """The man's and the woman's number of each county."""
    for number in (male, male[:14] + female_end):
        assert verify_citizen_number(number, Realm.DEMO) == number
        assert find_number_doubt(number) is None
    assert ric.validate(male) == male


@pytest.mark.parametrize("length", [0, 15, 17, 19])
def test_verify_other_length_is_refused(length):
    """Eighteen characters; the 15-digit form ended in 2013."""
    with pytest.raises(MalformedError) as caught:
        verify_citizen_number(("330822219003070018" * 2)[:length], Realm.DEMO)
    assert caught.value.reason == "CITIZEN_NUMBER_LENGTH"


@pytest.mark.parametrize(
    "text", ["33082221900307001x", "3308222190030700１8", "33 822219003070018", "-30822219003070018"]
)
def test_verify_other_character_is_refused(text):
    """ASCII digits and a capital X only."""
    with pytest.raises(MalformedError) as caught:
        verify_citizen_number(text, Realm.DEMO)
    assert caught.value.reason == "CITIZEN_NUMBER_FORM"


@given(place=st.integers(0, 16), step=st.integers(1, 9))
def test_verify_one_wrong_digit_is_always_refused(place, step):
    """MOD 11-2 finds every single wrong digit."""
    good = "330822219003070018"
    wrong = good[:place] + str((int(good[place]) + step) % 10) + good[place + 1 :]
    with pytest.raises(MalformedError) as caught:
        verify_citizen_number(wrong, Realm.DEMO)
    assert caught.value.reason == "CITIZEN_NUMBER_CHECKSUM"


@pytest.mark.parametrize("day", ["21900230", "22000229", "21901301", "21900100"])
def test_verify_impossible_date_is_refused(day):
    """An impossible birth date is refused even when the check character fits; 2200 is no leap year."""
    body = f"330822{day}001"
    with pytest.raises(MalformedError) as caught:
        verify_citizen_number(body + check_character(body), Realm.DEMO)
    assert caught.value.reason == "CITIZEN_NUMBER_DATE"


@pytest.mark.parametrize(
    ("division", "born", "doubt"),
    [
        ("362323", date(1990, 3, 7), None),
        ("361123", date(1990, 3, 7), None),  # numbered at sixteen
        ("362323", date(2001, 3, 7), "现为361123"),
        ("361123", date(2001, 3, 7), None),
        ("361103", date(1990, 3, 7), "自2015年起用"),
        ("361104", date(2018, 3, 7), None),
        ("330822", date(1950, 3, 7), None),  # nobody was numbered before 1984
        ("332427", date(1984, 3, 7), None),
        ("332529", date(1970, 3, 7), None),  # of 常山 until 1982, and then of 景宁
        ("330899", date(1990, 3, 7), "不是已知的县级代码"),
        ("330800", date(1990, 3, 7), "不是已知的县级代码"),
        ("522601", date(1990, 3, 7), None),
        ("362325", date(2190, 3, 7), "现为361125"),
    ],
)
def test_division_of_another_time_is_a_doubt_and_never_refused(division, born, doubt):
    """The code follows the registration, up to the sixteenth year: a code of another time goes to a person."""
    realm = Realm.DEMO if born.year > 2099 else Realm.LIVE
    number = verify_citizen_number(real_number(division, born), realm)
    told = find_number_doubt(number)
    assert (told is None) if doubt is None else (doubt in told)
    assert told is None or number not in told


@given(first=st.integers(0, 99), born=DEMO_DATES)
def test_number_of_a_province_that_does_not_exist_is_refused(first, born):
    """GB/T 2260: 00 and 99 are nobody's; a foreigner's card, with a 9 first, is told as one."""
    number = real_number(f"{first:02d}1123", born)
    if number[:2] in PROVINCE_CODES:
        assert verify_citizen_number(number, Realm.DEMO) == number
    else:
        with pytest.raises(MalformedError, match="CITIZEN_NUMBER_PROVINCE") as caught:
            verify_citizen_number(number, Realm.DEMO)
        assert ("外国人" in caught.value.message) is (first >= 90)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("991123219013070018", ["校验码", "前两位", "第7至14位"]),
        ("00112A219013070010", ["第6位应为数字", "前两位", "第7至14位"]),
        ("361123199013070018", ["校验码", "第7至14位"]),
        ("361123199003070018", ["校验码", "2100至2299年"]),
        ("361123900307001", ["应为18位，现为15位", "2013年起停用"]),
    ],
)
def test_all_faults_are_told_at_once_in_words_and_without_the_number(text, told):
    """Whoever compares the card once finds all of them; Chinese and English have as many."""
    with pytest.raises(MalformedError) as caught:
        verify_citizen_number(text, Realm.DEMO)
    chinese, _, english = caught.value.message.partition(" | ")
    assert all(each in chinese for each in told)
    assert english.isascii()
    assert text not in caught.value.message
    assert text[6:14] not in caught.value.message


def test_who_is_born_tomorrow_has_no_number_in_the_live_realm():
    """Up to today, the day itself included."""
    number, today = real_number("361123", date(2026, 11, 24)), date(2026, 11, 24)
    assert verify_citizen_number(number, Realm.LIVE, today=today) == number
    with pytest.raises(MalformedError, match="CITIZEN_NUMBER_FUTURE"):
        verify_citizen_number(number, Realm.LIVE, today=date(2026, 11, 23))


@given(
    division=st.sampled_from(["361123", "110101", "650102", "710000", "810000"]),
    day=st.integers(2100, 2299).flatmap(lambda year: st.sampled_from([f"{year}0229", f"{year}0431", f"{year}1231"])),
    sequence=st.integers(0, 999),
    last=st.sampled_from("0123456789X"),
)
def test_numbers_agree_with_python_stdnum(division, day, sequence, last):
    """What is taken has the library's check character and a day that it knows; the rest it refuses as well."""
    text = f"{division}{day}{sequence:03d}{last}"
    try:
        fits = ric.calc_check_digit(text) == last and ric.get_birth_date(text) is not None
    except InvalidComponent:
        fits = False
    if fits:
        assert verify_citizen_number(text, Realm.DEMO) == text
    else:
        with pytest.raises(MalformedError):
            verify_citizen_number(text, Realm.DEMO)


def test_verify_real_number_in_demo_is_refused():
    """Nobody who could exist enters the demo realm."""
    number = real_number("330822", date(1990, 3, 7))
    with pytest.raises(MalformedError) as caught:
        verify_citizen_number(number, Realm.DEMO)
    assert caught.value.reason == "REAL_NUMBER_IN_DEMO"
    assert number not in str(caught.value)


@pytest.mark.parametrize(
    ("born", "realm", "today", "reason"),
    [
        (date(2300, 1, 1), Realm.DEMO, None, "CITIZEN_NUMBER_FUTURE"),
        (date(2190, 1, 1), Realm.LIVE, None, "CITIZEN_NUMBER_FUTURE"),
        (date(2026, 11, 24), Realm.LIVE, date(2026, 11, 23), "CITIZEN_NUMBER_FUTURE"),
        (date(1869, 12, 31), Realm.LIVE, None, "CITIZEN_NUMBER_YEAR"),
        (date(2099, 12, 31), Realm.DEMO, None, "REAL_NUMBER_IN_DEMO"),
    ],
)
def test_realm_guard_refuses_years_of_the_other_realm(born, realm, today, reason):
    """Demo takes 2100-2299 only; live takes none of them and nothing after today."""
    with pytest.raises(MalformedError) as caught:
        verify_birth_realm(born, realm, today=today)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("born", "realm", "today"),
    [
        (date(2100, 1, 1), Realm.DEMO, None),
        (date(2299, 12, 31), Realm.DEMO, date(2026, 1, 1)),
        (date(2026, 11, 23), Realm.LIVE, date(2026, 11, 23)),
        (date(1870, 1, 1), Realm.LIVE, None),
    ],
)
def test_realm_guard_takes_years_of_its_realm(born, realm, today):
    """The bounds belong to the realm."""
    assert verify_birth_realm(born, realm, today=today) == born


@given(division=DIVISION_CODES, born=DEMO_DATES, sequence=st.integers(0, 999))
def test_format_gives_a_number_that_verifies(division, born, sequence):
    """It agrees with python-stdnum on the check character and the day of birth."""
    number = format_citizen_number(division, born, sequence=sequence)
    assert verify_citizen_number(number, Realm.DEMO) == number
    assert number[17] == ric.calc_check_digit(number)
    assert ric.get_birth_date(number) == born


@given(text=st.text(max_size=20))
def test_verify_any_text_raises_nothing_but_malformed(text):
    """No other error leaks from any text."""
    with pytest.raises(MalformedError):
        verify_citizen_number(text, Realm.LIVE)


@pytest.mark.parametrize(("division", "sequence"), [("33082", 1), ("33082a", 1), ("330822", 1000), ("330822", -1)])
def test_format_refuses_parts_of_another_form(division, sequence):
    """Six digits and a sequence of three."""
    with pytest.raises(MalformedError):
        format_citizen_number(division, date(2190, 3, 7), sequence=sequence)


@given(born=DEMO_DATES)
def test_true_birth_date_exists_for_every_demo_date(born):
    """Every synthetic date has its image 200 years earlier, same month and day."""
    true = true_birth_date(born)
    assert (true.year, true.month, true.day) == (born.year - 200, born.month, born.day)
    assert demo_birth_date(true) == born


def test_demo_birth_date_of_leap_day_2000_is_refused():
    """29 February 2000 has no image: 2200 is not a leap year."""
    with pytest.raises(RuleError) as caught:
        demo_birth_date(date(2000, 2, 29))
    assert caught.value.reason == "NO_DEMO_IMAGE"


@pytest.mark.parametrize(
    ("born", "today", "age"),
    [
        (date(2190, 3, 7), date(2026, 3, 6), 35),
        (date(2190, 3, 7), date(2026, 3, 7), 36),
        (date(1990, 3, 7), date(2026, 3, 7), 36),
        (date(2208, 2, 29), date(2026, 2, 28), 17),
        (date(2208, 2, 29), date(2026, 3, 1), 18),
        (date(2208, 2, 29), date(2028, 2, 29), 20),
    ],
)
def test_age_on_counts_full_years_of_the_true_date(born, today, age):
    """Synthetic people are 200 years older than they look; a leap-day child has its birthday on 1 March."""
    assert age_on(born, today) == age


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("见361123219003070011的供述", True),
        ("３６１１２３２１９００３０７００１１", True),
        ("361123 21900307 0011", True),
        ("361123-21900307-001x", True),
        ("卡号6222021234567890123", False),
        ("2026-11-23 21:00 在330822境内", False),
        ("91330822MA2ABCDE1X", False),
        ("36112321901307001", False),
    ],
)
def test_number_within_a_text_is_found_however_it_is_written(text, names):
    """In wide digits, with blanks or hyphens between, with a small x; other long numbers are none."""
    assert names_by_number(text) is names
