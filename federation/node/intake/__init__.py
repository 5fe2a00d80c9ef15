"""The intake desk: what a person of this province answers, and the clocks of it, on both sides."""
