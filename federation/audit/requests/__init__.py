"""What the logs say of requests and their answers, beyond the single message."""
