"""What goes over the wire: committed = generated, lint clean, formatted, each RPC in the table, each request field ruled."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor
from protovalidate._gen.buf.validate import validate_pb  # private: what the wheel was built with

from federation.v1 import (
    agreement_service_pb2,
    alert_service_pb2,
    audit_service_pb2,
    case_service_pb2,
    correction_service_pb2,
    document_service_pb2,
    duty_service_pb2,
    erasure_service_pb2,
    exchange_service_pb2,
    figure_service_pb2,
    intake_service_pb2,
    key_service_pb2,
    lead_service_pb2,
    lookup_service_pb2,
    node_service_pb2,
    oversight_service_pb2,
    permit_service_pb2,
    reading_service_pb2,
    reconciliation_service_pb2,
    register_service_pb2,
    subject_service_pb2,
)
from federation.v1.buf.validate import validate_pb2
from tests.wire.table import RPCS

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"
FILES = (
    agreement_service_pb2,
    alert_service_pb2,
    audit_service_pb2,
    case_service_pb2,
    correction_service_pb2,
    document_service_pb2,
    duty_service_pb2,
    erasure_service_pb2,
    exchange_service_pb2,
    figure_service_pb2,
    intake_service_pb2,
    key_service_pb2,
    lead_service_pb2,
    lookup_service_pb2,
    node_service_pb2,
    oversight_service_pb2,
    permit_service_pb2,
    reading_service_pb2,
    reconciliation_service_pb2,
    register_service_pb2,
    subject_service_pb2,
)
UNRULED = {
    "federation.v1.Submission.partial": "optional; its own fields have rules",
    "federation.v1.Place.open": "one of two; its own fields have rules",
    "federation.v1.OpenPlace.item": "any bytes, within what the statement names",
    "federation.v1.Submission.body": "optional; its own fields have rules",
    "federation.v1.PermitApplication.guardian": "a boolean: both values are lawful",
    "federation.v1.PermitApplication.sealed": "a boolean: both values are lawful",
    "federation.v1.Vehicle.sealed": "a boolean: both values are lawful",
    "federation.v1.GetReportRequest.identity_checked": "a boolean: policy judges it",
    "federation.v1.ListIntakeRequest.ended": "a boolean: both values are lawful",
    "federation.v1.ListSampleRequest.with_reviewed": "a boolean: both values are lawful",
    "federation.v1.CountersignCaseRequest.bulk": "a boolean: both values are lawful",
    "federation.v1.RegisterKeyRequest.administers": "a boolean: both values are lawful",
    "federation.v1.RegisterKeyRequest.replaces": "a boolean: both values are lawful",
    "federation.v1.AnswerLeadRequest.accepted": "a boolean: both values are lawful",
    "federation.v1.FileCorrectionRequest.identity_checked": "a boolean: policy judges it",
    "federation.v1.ReadReportRequest.leaves": "a boolean: both values are lawful",
    "federation.v1.ReadReportRequest.handed_over": "a boolean: both values are lawful",
    "federation.v1.ListAlertsRequest.open_only": "a boolean: both values are lawful",
    "federation.v1.ListCorrectionsRequest.everything": "a boolean: both values are lawful",
    "federation.v1.OpenAlert.lease": "optional, a time: any is lawful",
    "federation.v1.ReadRosterRequest.at": "optional, a time: any is lawful",
}
"""Request fields that need no rule, each with the reason."""


def _services() -> list[ServiceDescriptor]:
    return [service for file in FILES for service in file.DESCRIPTOR.services_by_name.values()]


def _request_messages() -> dict[str, Descriptor]:
    """Every message that can stand in a request, by full name."""
    found: dict[str, Descriptor] = {}
    todo = [method.input_type for service in _services() for method in service.methods]
    while todo:
        message = todo.pop()
        if message.full_name in found or not message.full_name.startswith("federation."):
            continue
        found[message.full_name] = message
        todo += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def _is_ruled(field: FieldDescriptor) -> bool:
    if field.GetOptions().HasExtension(validate_pb2.field):
        rules = field.GetOptions().Extensions[validate_pb2.field]
        return not rules.HasField("map") or (rules.map.HasField("keys") and rules.map.HasField("values"))
    return field.full_name in UNRULED or field.containing_type.GetOptions().map_entry  # ruled where the map stands


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("proto_generate", ROOT / "proto" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_code_is_what_the_protos_give(generate, tmp_path):
    """`federation/v1` holds exactly what `make proto` writes: nothing was edited, nothing was forgotten."""
    generate.generate(tmp_path)

    fresh = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.py*")}
    folder = ROOT / "federation" / "v1"
    committed = {
        path.relative_to(ROOT): path.read_bytes() for path in folder.rglob("*.py*") if "__pycache__" not in path.parts
    }
    assert committed.keys() == fresh.keys()
    assert [str(name) for name in fresh if committed[name] != fresh[name]] == []


def _lint(folder: Path) -> tuple[str, int]:
    done = subprocess.run([BUF, "lint"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode


def test_buf_lint_has_no_findings():
    """STANDARD and COMMENTS, zero findings, in the folder as anybody checks it out: no network, nothing to prepare."""
    assert _lint(ROOT / "proto") == ("", 0)


def test_buf_lint_finds_a_planted_fault(tmp_path):
    """The linter really reads our files: a message of another form is found."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    planted = tmp_path / "proto" / "federation" / "v1" / "agreement_service.proto"
    planted.write_text(planted.read_text("utf-8").replace("FetchAgreementRequest", "fetchAgreementRequest"), "utf-8")

    said, code = _lint(tmp_path / "proto")
    assert code != 0
    assert "fetchAgreementRequest" in said


def test_the_rule_annotations_are_those_of_the_validator():
    """The file beside ours says what the validator that reads the rules at run time was built with, field by field."""
    of_wheel = descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    ours = descriptor_pb2.FileDescriptorProto()
    validate_pb2.DESCRIPTOR.CopyToProto(ours)

    for field in _fields_of(of_wheel.message_type) + list(of_wheel.extension):
        field.ClearField("json_name")  # it follows from the name; the generator leaves it out
    assert ours == of_wheel


def _fields_of(messages: Iterable[descriptor_pb2.DescriptorProto]) -> list[descriptor_pb2.FieldDescriptorProto]:
    return [field for message in messages for field in [*message.field, *_fields_of(message.nested_type)]]


def test_protos_are_formatted():
    """`buf format` has nothing to change."""
    done = subprocess.run([BUF, "format", "-d", "proto"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_every_rpc_has_a_line_and_every_line_an_rpc():
    """Default deny is complete: the table and the descriptors name the same RPCs, each once."""
    offered = [f"/{service.full_name}/{method.name}" for service in _services() for method in service.methods]
    assert sorted(rpc.path for rpc in RPCS) == sorted(offered)


def test_every_request_field_has_a_rule():
    """A field of a request has a shape rule, or stands in the list with the reason why it needs none."""
    fields = [field for message in _request_messages().values() for field in message.fields]
    assert [field.full_name for field in fields if not _is_ruled(field)] == []
    known = {field.full_name for field in fields}
    assert set(UNRULED) <= known


def test_every_enum_in_a_request_refuses_zero_and_unknown_numbers():
    """The zero value is `_UNSPECIFIED`, and no request may hold it or a number that has no name."""
    for message in _request_messages().values():
        for field in message.fields:
            if field.enum_type is None:
                continue
            rules = field.GetOptions().Extensions[validate_pb2.field]
            rule = rules.repeated.items.enum if field.is_repeated else rules.enum
            assert rule.defined_only, field.full_name
            assert list(rule.not_in) == [0], field.full_name
            assert field.enum_type.values_by_number[0].name.endswith("_UNSPECIFIED")


def test_every_repeated_request_field_is_bounded():
    """A list without an end is how a request eats a node."""
    for message in _request_messages().values():
        for field in message.fields:
            if field.is_repeated:
                rules = field.GetOptions().Extensions[validate_pb2.field]
                assert rules.repeated.max_items or rules.map.max_pairs, field.full_name


def test_no_generated_module_imports_from_outside_its_package():
    """The rule annotations are imported from below `federation.v1`: no top-level `buf` is needed at run time."""
    for path in (ROOT / "federation" / "v1").glob("*_pb2.py"):
        assert "from buf." not in path.read_text("utf-8"), path.name


def test_services_have_requests_and_responses_of_their_own():
    """Each RPC has its own `<Rpc>Request` and `<Rpc>Response`, so that each can grow by itself."""
    for service in _services():
        assert isinstance(service.file, FileDescriptor)
        for method in service.methods:
            assert method.input_type.name == f"{method.name}Request"
            assert method.output_type.name == f"{method.name}Response"
