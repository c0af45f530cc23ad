"""Reports a person can read: one file of HTML each, whole without a network or a script."""
