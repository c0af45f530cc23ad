"""Side-by-side measurements of the whole system: ``python -m benchmarks`` from the repository root.

Not part of the installed package. Every number comes from a process of its own, and ratios are
only taken between numbers of one invocation, so that a slower machine changes both sides.
"""
