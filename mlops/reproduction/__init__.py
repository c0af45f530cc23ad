"""Makes a registered version again from its receipt, and tells where the two first differ."""
