"""CAP files: what we write is valid and reads back equal, each odd input has its right answer, and none can do harm."""

import os
import random
import re
import socket
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.alert_kinds import Category, Response
from federation.domain.cap import (
    EXERCISE_MARK,
    FIELDS,
    RESTRICTION,
    Area,
    CapMessage,
    Named,
    Scope,
    Status,
    format_degrees,
)
from federation.domain.cap_import import import_cap
from federation.domain.cap_xml import MAX_BYTES, export_cap, parse_xml
from federation.domain.personal import find_personal
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.form import decode, encode, replace
from federation.protocol.unseen import written
from tests.domain.cap_message import CANCEL, CHINESE, ENGLISH, FIRE, IDENTIFIER, RING, SENDER, SENT, TABLE, altered
from tests.vectors.required import skip_or_fail

MUTATED = 10_000 if os.environ.get("CI") else 1_500
"""How many mutated files; all of them where the other properties are drawn alike, too."""
NOW = SENT + timedelta(minutes=1)


@pytest.fixture(scope="module")
def valid():
    """True for a file that the schema of OASIS takes, by an independent program."""
    try:
        from capvalidator import check_schema
    except ImportError:
        skip_or_fail("capvalidator is not installed: make setup-dev")
    return lambda encoded: check_schema(encoded).passed


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever opens a connection fails."""

    def refuse(*_args, **_named):
        raise AssertionError("a file of a stranger reached for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def reasons(encoded, *, table=None):
    return [each.reason.removeprefix("CAP_") for each in import_cap(encoded, table=table).faults]


def refused(encoded, *, table=None):
    found = import_cap(encoded, table=table)
    assert (found.message is None) == bool(found.refusals)
    return [each.reason.removeprefix("CAP_") for each in found.refusals]


# ---- what we write


def with_english(message):
    return replace(message, info=replace(message.info, wordings=(CHINESE, ENGLISH)))


def private(message):
    return replace(message, scope=Scope.PRIVATE, restriction="", addresses=("361123.governance", "玉山 应急席"))


@pytest.mark.parametrize(
    "message", [FIRE, CANCEL, with_english(FIRE), private(FIRE)], ids=["alert", "cancel", "english", "private"]
)
def test_what_we_write_is_valid_and_reads_back_equal(valid, message):
    """One value, one file: read and written again it is the same bytes; as an item, too."""
    encoded = export_cap(message, table=TABLE)
    found = import_cap(encoded, table=TABLE)

    assert valid(encoded)
    assert (found.message, found.faults, dict(found.original_times)) == (message, (), {})
    assert export_cap(found.message) == encoded
    assert decode(CapMessage, encode(message)) == message


TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20).map(
    lambda text: written(text.strip())
)


def usable(text):
    return bool(text) and written(text.strip()) == text and not find_personal(text)


POINTS = st.tuples(st.integers(23_000_000, 34_900_000), st.integers(113_000_000, 122_900_000), st.integers(1, 100_000))


def triangle(point):
    south, west, side = point
    corners = [(south, west), (south + side, west), (south + side, west + side), (south, west)]
    return " ".join(f"{format_degrees(lat)},{format_degrees(lon)}" for lat, lon in corners)


@settings(max_examples=100)
@given(st.data())
def test_any_message_of_the_profile_reads_back_equal(valid, data):
    """Whatever texts, places, values and times: valid by the schema, equal when read, without a warning."""
    text = TEXTS.filter(usable)
    areas = data.draw(st.lists(POINTS, min_size=1, max_size=4))
    wording = replace(
        CHINESE,
        event=f"火{data.draw(text)}"[:20].strip(),
        headline=EXERCISE_MARK + data.draw(text),
        description=data.draw(text),
        areas=tuple(data.draw(text) for _ in areas),
    )
    message = replace(
        FIRE,
        status=Status.EXERCISE,
        source=data.draw(st.one_of(st.just(""), text)),
        incidents=tuple(data.draw(st.lists(text.filter(lambda each: '"' not in each), max_size=3))),
        info=replace(
            FIRE.info,
            categories=tuple(data.draw(st.sets(st.sampled_from(list(Category)), min_size=1, max_size=4))),
            responses=tuple(data.draw(st.sets(st.sampled_from(list(Response)), min_size=1, max_size=4))),
            onset=SENT + timedelta(seconds=data.draw(st.integers(0, 10_000))),
            expires=SENT + timedelta(seconds=data.draw(st.integers(1, 86_400))),
            areas=tuple(Area(polygons=(triangle(each),), geocodes=(Named(name="GB/T 10114", value="330822111"),)) for each in areas),
            wordings=(wording,),
        ),
    )  # fmt: skip
    if not usable(wording.headline) or not usable(wording.event) or not all(map(usable, message.incidents)):
        return
    encoded = export_cap(message)
    found = import_cap(encoded)

    assert valid(encoded)
    assert (found.message, found.faults) == (message, ())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(FIRE, scope=Scope.PUBLIC, restriction=""), "CAP_PUBLIC"),
        (replace(FIRE, addresses=("361123.governance",)), "CAP_ADDRESSES"),
        (replace(FIRE, status=Status.EXERCISE), "CAP_EXERCISE"),
        (replace(FIRE, sent=SENT + timedelta(milliseconds=5)), "CAP_TIME"),
        (replace(FIRE, info=None), "CAP_INFO"),
        (replace(FIRE, info=replace(FIRE.info, event_codes=())), "CAP_KIND"),
        (replace(FIRE, info=replace(FIRE.info, areas=(Area(),))), "CAP_GEOCODE"),
        (replace(CANCEL, references=()), "CAP_REFERENCES"),
        (replace(FIRE, note="x" * 201), "CAP_LONG"),
        (replace(FIRE, note="a\u202eb"), "CAP_UNSEEN"),
    ],
)
def test_what_the_profile_forbids_is_never_written(message, reason):
    """The first fault is the reason; its sentence is Chinese and English."""
    with pytest.raises(MalformedError) as caught:
        export_cap(message)
    assert caught.value.reason == reason
    assert " | " in caught.value.message


def test_a_public_message_names_issuer_and_document():
    """Else it stays with the desks."""
    named = (Named(name="issued_by", value="330822 常山县人民政府"), Named(name="document", value="常防指〔2026〕1号"))
    info = replace(FIRE.info, parameters=(*FIRE.info.parameters, *named))
    assert b"<scope>Public</scope>" in export_cap(replace(FIRE, scope=Scope.PUBLIC, restriction="", info=info))


# ---- the odd inputs, numbered as in the profile


def ring(points):
    return altered(RING, points)


def block(*changes):
    """The file with a second block of information, in English, changed so."""
    text = export_cap(with_english(FIRE)).decode()
    head, second = text.split("<language>en</language>")
    for old, new in changes:
        assert old in second, old
        second = second.replace(old, new, 1)
    return f"{head}<language>en</language>{second}".encode()


SENT_TEXT = "2026-04-04T10:16:22+08:00</sent>"
CAPS = FIRE.info
REFUSED = [
    *((f"1 {new}", altered(SENT_TEXT, f"{new}</sent>"), "TIME") for new in (
        "2026-04-04T02:16:22Z", "2026-04-04T10:16:22.5+08:00", "2026-04-04T10:16:22+0800", "2026-04-04T10:16:60+08:00",
        "2026-02-30T10:16:22+08:00", "2026-04-04T10:16:22+14:30", "2026-04-04T10:16:22,08:00", "２026-04-04T10:16:22+08:00",
    )),
    ("3 24:00:00", altered(SENT_TEXT, "2026-04-04T24:00:00+08:00</sent>"), "TIME"),
    *((f"4 {new!r:.20}", altered(f"<identifier>{IDENTIFIER}", f"<identifier>{new}"), "NAME") for new in (
        "", "a b", "a,b", "a&#10;b", "a" * 300, "a\u202eb", "a\u0085b", "a&amp;b",
    )),
    ("6 no references", altered("<references>", "<note>", replace(CANCEL, note="")).replace(b"</references>", b"</note>"), "REFERENCES"),
    ("6 empty references", altered(f"{SENDER},{IDENTIFIER},2026-04-04T10:16:22+08:00</ref", "</ref", CANCEL), "REFERENCES"),
    ("8 another sender", altered(f"<references>{SENDER}", "<references>x@y", CANCEL), "REFERENCES_SENDER"),
    ("10 Draft", altered("<status>Actual", "<status>Draft"), "STATUS"),
    ("10 System", altered("<status>Actual", "<status>System"), "STATUS"),
    ("11 Private alone", altered("<scope>Restricted", "<scope>Private"), "ADDRESSES"),
    ("11 Restricted alone", altered(f"<restriction>{RESTRICTION}</restriction>", ""), "RESTRICTION"),
    ("12 severity", altered("<severity>Severe", "<severity>Red"), "VALUE"),
    ("12 lower case", altered("<status>Actual", "<status>actual"), "VALUE"),
    ("12 space", altered("<status>Actual", "<status> Actual "), "VALUE"),
    ("12 category", altered("<category>Fire", "<category>Wildfire"), "VALUE"),
    ("13 severity", block(("<severity>Severe", "<severity>Minor")), "INFO_DIFFERS"),
    ("13 times", block(("04-05T10:16:22", "04-05T10:16:23")), "INFO_DIFFERS"),
    ("13 areas", block(("330822</value>", "361123</value>")), "INFO_DIFFERS"),
    ("14 neither", block(("</description>", "</description>")).replace(b"<language>en</language>", b""), "LANGUAGE"),
    ("14 blank", altered("<language>zh-CN<", "<language> <"), "LANGUAGE"),
    ("15 open", ring("28.9,118.4 28.95,118.4 28.95,118.5 28.9,118.5"), "POLYGON_OPEN"),
    ("15 three", ring("28.9,118.4 28.95,118.4 28.9,118.4"), "POLYGON_OPEN"),
    ("15 crossing", ring("28.9,118.4 28.95,118.5 28.95,118.4 28.9,118.5 28.9,118.4"), "POLYGON_CROSSES"),
    ("15 spike", ring("28.9,118.4 28.95,118.4 28.9,118.4 28.95,118.5 28.9,118.4"), "POLYGON_CROSSES"),
    ("15 abc", ring("abc"), "POLYGON"),
    ("15 NaN", ring("28.9,118.4 NaN,NaN 28.95,118.5 28.9,118.4"), "POLYGON"),
    ("15 many", ring(" ".join(["28.9,118.4"] * 20_000)), "POLYGON"),
    ("16 swapped", ring("118.4,28.9 118.4,28.95 118.5,28.95 118.4,28.9"), "SWAPPED"),
    ("16 circle", altered("28.92,118.43 1.5", "118.43,28.92 1.5"), "SWAPPED"),
    ("17 datum", altered(">WGS84<", ">GCJ-02<"), "DATUM"),
    ("18 before", altered("<expires>2026-04-05", "<expires>2026-04-04"), "EXPIRES"),
    ("18 year 9999", altered("<expires>2026", "<expires>9999"), "EXPIRES_LATE"),
    ("19 size", altered("<size>1024", "<size>-1"), "SIZE_OF_RESOURCE"),
    ("19 radius", altered("118.43 1.5", "118.43 -1"), "CIRCLE"),
    ("19 far", altered("118.43 1.5", "118.43 200.1"), "CIRCLE"),
    ("19 ceiling", altered("</geocode>", "</geocode><altitude>10</altitude><ceiling>9</ceiling>"), "CEILING"),
    ("19 ceiling alone", altered("</geocode>", "</geocode><ceiling>9</ceiling>"), "CEILING"),
    ("20 CAP 1.1", altered("cap:1.2", "cap:1.1"), "VERSION"),
    ("20 no namespace", altered(' xmlns="urn:oasis:names:tc:emergency:cap:1.2"', ""), "VERSION"),
    ("20 order", altered(f"<sender>{SENDER}</sender>", "").replace(b"<status>", f"<sender>{SENDER}</sender><status>".encode()), "ORDER"),
    ("20 unknown", altered("<info>", "<novelty/><info>"), "UNKNOWN"),
    ("20 attribute", altered("<alert ", '<alert id="1" '), "ATTRIBUTE"),
    ("20 twice", altered("<status>Actual</status>", "<status>Actual</status><status>Actual</status>"), "REPEATED"),
    ("20 missing", altered("<urgency>Immediate</urgency>", ""), "MISSING"),
    ("20 text", altered("<info>", "<info>loose"), "TEXT_BETWEEN"),
    ("22 doctype", altered("<alert ", "<!DOCTYPE alert><alert "), "DOCTYPE"),
    ("22 bomb", altered("<alert ", '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><alert '), "DOCTYPE"),
    ("22 external", altered("<alert ", '<!DOCTYPE a SYSTEM "http://198.51.100.1/a.dtd"><alert '), "DOCTYPE"),
    ("22 entity", altered("山脊", "&there;"), "XML"),
    ("22 include", altered("<info>", '<x:include xmlns:x="http://www.w3.org/2001/XInclude"/><info>'), "UNKNOWN"),
    ("23 escape byte", altered("山脊", "&#27;[31m"), "XML"),
    ("23 escape of C1", altered("山脊", "\u009b31m"), "UNSEEN"),
    ("24 citizen number", altered("明火", "明火，330822219003070018"), "PERSONAL"),
    ("24 spaced", altered("明火", "明火，330822 21900307 0018"), "PERSONAL"),
    ("24 wide", altered("明火", "明火，３３０８２２２１９００３０７００１８"), "PERSONAL"),
    ("24 phone", altered("明火", "明火，+86 100-0000-0001"), "PERSONAL"),
    ("24 plate", altered("明火", "明火，浙H·I0001"), "PERSONAL"),
    ("24 account", altered("明火", "明火，6200 0000 0000 0000 001"), "PERSONAL"),
    ("24 in a parameter", altered("东坑12林班", "330822219003070018"), "PERSONAL"),
    ("24 contact", altered("0570-0000001", "13" + "0" * 9), "PERSONAL"),
    ("25 wide digits", altered(">330822<", ">３３０８２２<"), "GEOCODE"),
    ("address", altered("</instruction>", "</instruction><web>http://198.51.100.1/</web>"), "FORBIDDEN"),
    ("content", altered("<digest>", "<derefUri>aGk=</derefUri><digest>"), "FORBIDDEN"),
    ("references in an alert", altered("<info>", f"<references>{SENDER},x,2026-04-04T10:16:22+08:00</references><info>"), "REFERENCES"),
    ("triples", altered(f"<references>{SENDER},", "<references>", CANCEL), "REFERENCES"),
    ("itself", altered(f"<identifier>{CANCEL.identifier}", f"<identifier>{IDENTIFIER}", CANCEL), "REFERENCES_ITSELF"),
    ("media type", altered("image/png", "text/html"), "MIME"),
    ("no kind of ours", altered(">forest.fire<", ">ufo<"), "KIND"),
    ("colour where law has none", altered(">priority<", ">level<").replace("特急</value>".encode(), "红</value>".encode()), "LEVEL_NONE"),
    ("a field that never crosses", altered(">compartment<", ">plate<"), "NEVER_CROSSES"),
    ("longer than its kind", altered("<expires>2026-04-05", "<expires>2026-04-12"), "EXPIRES_LATE"),
]  # fmt: skip


@pytest.mark.parametrize(("encoded", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_an_odd_file_is_refused_and_its_field_named(encoded, reason):
    """In words, in Chinese and English, with full-width punctuation."""
    found = import_cap(encoded, table=TABLE)

    assert found.message is None
    fault = next(each for each in found.refusals if each.reason == f"CAP_{reason}")
    if reason != "LEVEL_NONE":  # the sentence of the table of kinds
        assert fault.zh.startswith(FIELDS[fault.field][0])
        assert f"（{fault.field}）" in fault.zh
        assert f"({fault.field})" in fault.en
    assert fault.zh.endswith("。")
    assert fault.en.endswith(".")


TAKEN = [
    ("2 -00:00", altered(SENT_TEXT, "2026-04-04T02:16:22-00:00</sent>"), ["TIME_ZONE"]),
    ("2 +09:00", altered(SENT_TEXT, "2026-04-04T11:16:22+09:00</sent>"), ["TIME_ZONE"]),
    ("2 space", altered(SENT_TEXT, "2026-04-04T10:16:22+08:00 \n</sent>"), []),
    ("6 empty in an alert", altered("<info>", "<references/><info>"), ["REFERENCES"]),
    ("14 Chinese", altered("<language>zh-CN</language>", ""), ["LANGUAGE"]),
    ("15 space", ring(RING.replace(" ", "\t\n ")), []),
    ("15 as numbers", ring(RING.replace("28.9,118.4 28.95", "28.90,118.400000 28.95")), []),
    ("15 last point", altered(RING, "28.9,118. 28.95,118.4 28.95,118.5 28.9,118"), []),
    ("17 no datum", altered(">datum<", ">plan<"), ["DATUM"]),
    ("19 altitude", altered("</geocode>", "</geocode><altitude>10</altitude>"), ["ALTITUDE"]),
    ("21 prefix", export_cap(FIRE).replace(b"<", b"<cap:").replace(b"<cap:/", b"</cap:").replace(b"<cap:?", b"<?").replace(b"xmlns=", b"xmlns:cap="), []),
    ("22 comment", altered("Actual", "Act<!-- -->ual"), []),
    ("22 stylesheet", altered("<alert ", '<?xml-stylesheet href="http://198.51.100.1/a.xsl"?><alert '), []),
    ("22 schemaLocation", altered("<alert ", '<alert xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a http://198.51.100.1/a.xsd" '), []),
    ("22 signature", altered("</alert>", '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo Id="1">x</SignedInfo></Signature></alert>'), ["SIGNATURE"]),
    ("23 orders", altered("球川圈·东坑森林火灾特急", "=cmd|'/C calc'!A1 &lt;script&gt; \\x1b[31m"), []),
    ("25 rare characters", altered("东坑森林火灾", "輶辂𠮷村森林火灾"), []),
    ("UTF-16", export_cap(FIRE).decode().replace("UTF-8", "UTF-16").encode("utf-16"), []),
    ("byte order mark", b"\xef\xbb\xbf" + export_cap(FIRE), []),
    ("no kind", altered("bridgehead:kind", "GB/T 35561"), ["KIND"]),
    ("name far from the sending", altered("_20260404101622_0", "_20260404101500_0"), ["IDENTIFIER_TIME"]),
    ("name of no date", altered("_20260404101622_0", "_20261304101622_0"), ["IDENTIFIER_TIME"]),
]  # fmt: skip


@pytest.mark.parametrize(("encoded", "warnings"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_an_odd_file_that_is_clear_is_taken_with_its_warnings(encoded, warnings):
    """What differs from what stands in the file is said; the rest is as if it were written in our own way."""
    found = import_cap(encoded)

    assert found.message is not None, [str(each) for each in found.faults]
    assert reasons(encoded) == warnings
    assert found.message.sent == SENT


def test_times_of_another_zone_keep_what_was_written():
    """They are read as moments, and shown in the time of China."""
    found = import_cap(altered(SENT_TEXT, "2026-04-04T02:16:22-00:00</sent>"))
    assert dict(found.original_times) == {"sent": "2026-04-04T02:16:22-00:00"}


def test_a_public_file_is_taken_in_as_restricted_and_never_passed_on_as_public():
    """Row 11; other texts of restriction and addresses are told."""
    found = import_cap(altered("<scope>Restricted", "<scope>Public"))
    assert [each.reason for each in found.faults] == ["CAP_PUBLIC"]
    assert found.message == FIRE
    assert b"Public" not in export_cap(found.message)


def test_an_exercise_that_does_not_say_so_is_marked():
    """No list shows it as real."""
    found = import_cap(altered("<status>Actual", "<status>Exercise"))
    assert [each.reason for each in found.faults] == ["CAP_EXERCISE"]
    assert found.message.info.wordings[0].headline.startswith(EXERCISE_MARK)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"<" * (MAX_BYTES + 1), "SIZE"),
        (b'<?xml version="1.0" encoding="GB18030"?>' + "<alert>山</alert>".encode("gb18030"), "ENCODING"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><alert/>', "ENCODING"),
        ("<alert>山脊见明火</alert>".encode("gbk"), "ENCODING"),
        (b"<a>" * 17 + b"</a>" * 17, "NESTED"),
        (b"<alert>" + b"<a/>" * 5_000 + b"</alert>", "NESTED"),
        (b"", "XML"),
        (b"\xff\xfe", "XML"),
        (b"<alert", "XML"),
        (b"<a/><b/>", "XML"),
    ],
    ids=["size", "GB18030", "latin", "gbk", "deep", "many", "empty", "mark", "cut", "two"],
)
def test_what_is_no_file_of_ours_is_refused_before_it_is_looked_at(encoded, reason):
    """Size first, then the encoding by its name, then the bounds of the parser."""
    assert refused(encoded) == [reason]
    with pytest.raises(MalformedError):
        parse_xml(encoded)


def test_the_schema_says_no_where_ours_does_so_before_the_rules(valid):
    """An oracle that shares no code: what it refuses, we refuse; what we take, it takes."""
    for name, encoded, _ in REFUSED:
        if not valid(encoded):
            assert import_cap(encoded).message is None, name
    for name, encoded, _ in TAKEN:
        assert valid(encoded), name


def test_what_looks_like_a_person_is_never_shown():
    """Row 24: the pattern is named, its value is not."""
    found = import_cap(altered("明火", "明火，330822219003070018，浙H·I0001"))
    said = " ".join(map(str, found.faults))
    assert "公民身份号码" in said
    assert "330822219003070018" not in said
    assert "I0001" not in said
    assert "330822219003070018" not in repr(found)


# ---- ten thousand mutated files


PIECES = ("<info>", "</info>", "<!--", "]]>", "&#0;", "&amp;", "<![CDATA[", "<alert>", "\ud7ff", "", "<area/>", "&#10;")
WORDS = ("zh-CN", "en", "Actual", "Exercise", "Update", "Ack", "Private", "Public", "Met", "9" * 50, "-", "28.9,118.4", "WGS84", "0", "２", "\u202e", " ",
         "2026-04-04T24:00:00+08:00", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00+14:00", "红", "level", "a,b,c", '"', "&amp;", "1e9", "x" * 3000)  # fmt: skip


def mutated(chance, encoded):
    """Half of them in what stands between two tags, so that the rules are reached; half in any byte."""
    if chance.random() < 0.5:
        text = encoded.decode()
        for _ in range(chance.randint(1, 3)):
            at = chance.choice([each.end() for each in re.finditer(r">(?=[^<\s][^<]*<)", text)])
            text = text[:at] + chance.choice(WORDS) + text[text.index("<", at) :]
        return text.encode()
    for _ in range(chance.randint(1, 4)):
        at, much = chance.randrange(len(encoded) + 1), chance.randint(0, 30)
        what = chance.randrange(4)
        if what == 0:
            encoded = encoded[:at] + encoded[at + much :]
        elif what == 1:
            encoded = (
                encoded[:at] + bytes(chance.randrange(256) for _ in range(much % 4 + 1)) + encoded[at + much % 4 :]
            )
        elif what == 2:
            encoded = encoded[:at] + chance.choice(PIECES).encode() + encoded[at:]
        else:
            there = chance.randrange(len(encoded) + 1)
            encoded = encoded[:at] + encoded[there : there + much * 10] + encoded[at:]
    return encoded


def test_no_mutated_file_does_harm(valid):
    """Each is taken or refused with a sentence; what is taken is valid by the schema and may be written again."""
    chance = random.Random(20260404)
    sources = [export_cap(with_english(FIRE)), export_cap(CANCEL), export_cap(private(FIRE))]
    for number in range(MUTATED):
        encoded = mutated(chance, sources[number % len(sources)])
        found = import_cap(encoded, table=TABLE)
        assert (found.message is None) == bool(found.refusals)
        assert all(each.zh and each.en for each in found.faults)
        if found.message is not None:
            assert valid(encoded)
            encode(found.message)


def test_no_error_of_the_floor_below_passes():
    """Whatever the bytes, an import raises nothing and the parser nothing but its own."""
    for encoded in (b"\0", b"<\0", b"\xff", b"<?xml version='1.1'?><a/>", b"<a xmlns=''/>", os.urandom(64)):
        assert import_cap(encoded).message is None
        with pytest.raises(BridgeheadError) as caught:
            raise_of_parser(encoded)
        assert caught.value.reason.startswith("CAP_")


def raise_of_parser(encoded):
    """What the parser says of bytes; of those that it takes, that they are no alert."""
    parse_xml(encoded)
    raise MalformedError("CAP_VERSION", "well-formed, and no alert")
