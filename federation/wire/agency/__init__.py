"""The RPCs of a node's own agencies, by subject: questions and answers as values, and one line each."""
