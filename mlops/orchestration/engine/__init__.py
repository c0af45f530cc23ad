"""The headless engine: Mage without its server, driving runs to their end."""
