"""The online server: one model in memory, answers in a fraction of a millisecond. No Mage."""
