"""The shape of a request: the rules that stand in the proto files, checked before anything else is done with it.

Rules kept: the answer names the field and what was expected, never the value. Shape only: who may do it
is policy's to say, whether the law allows it the domain's. Source: DESIGN section 3 step 2, protovalidate.
"""

from __future__ import annotations

import protovalidate
from google.protobuf.message import Message

from federation.protocol.errors import MalformedError

_MAX_VIOLATIONS_TOLD = 8


def verify_shape(message: Message) -> None:
    """Checks the shape rules that stand in the proto files.

    Raises:
        MalformedError: FIELD_RULE naming the fields and what was expected of them, never their values.
    """
    violations = protovalidate.collect_violations(message)
    if not violations:
        return
    told = [(_format_path(violation), violation.proto.message) for violation in violations[:_MAX_VIOLATIONS_TOLD]]
    sentence = "; ".join(f"{path}: {rule}" if path else rule for path, rule in told)
    raise MalformedError("FIELD_RULE", sentence, field=told[0][0])


def _format_path(violation: protovalidate.Violation) -> str:
    path = violation.proto.field
    if path is None:
        return ""
    parts = []
    for element in path.elements:
        at = element.subscript
        index = f"[{at.value}]" if at is not None and at.field == "index" else ""
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)
