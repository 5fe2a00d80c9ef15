"""This node's exchange log at work: its one writer, its receipts, its witnesses, and the check before it signs."""
