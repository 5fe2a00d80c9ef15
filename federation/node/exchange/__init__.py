"""The exchange of messages between provinces: receive, judge, send, deliver, answer. Beneath all features."""
