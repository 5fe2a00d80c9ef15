"""The intake desk: what a person answers for this province, and the clocks of questions on both sides."""
