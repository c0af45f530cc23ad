"""From raw data to a monitored model in production: the library behind every Mage block."""

__version__ = "0.1.0"
