"""The only place that knows Mage: the headless engine and the server launcher."""
