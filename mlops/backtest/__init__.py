"""The time machine: history replayed month by month, to see what a policy would have done."""
