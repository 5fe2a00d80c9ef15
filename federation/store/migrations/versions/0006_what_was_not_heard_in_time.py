"""What must arrive however late is asked about after its time and said anew; until here, some kinds were let go."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

RENEWED = (
    "'permit.sync', 'permit.recognition', 'correction.request', 'correction.answer', 'correction.notice', "
    "'lookup.case', 'police.lead', 'police.lead.answer', 'erasure.order', 'erasure.receipt'"
)


def upgrade() -> None:
    op.execute(
        "UPDATE outbox SET state = 'unheard' WHERE state = 'expired' AND message_id IN ("  # noqa: S608 - our own names
        "SELECT message.id FROM message JOIN message_body ON message_body.message_id = message.id "
        f"WHERE message.direction = 'sent' AND message.kind IN ({RENEWED})"
        ") AND message_id NOT IN (SELECT id FROM record WHERE kind = 'erasure-again')"
    )
    op.execute("DELETE FROM record WHERE kind = 'erasure-again'")


def downgrade() -> None:
    op.execute("UPDATE outbox SET state = 'expired' WHERE state IN ('unheard', 'missed')")
