"""Where migrations begin: a new store gets the tables as declared, and no store is older than this."""

revision = "0013"
down_revision = None
