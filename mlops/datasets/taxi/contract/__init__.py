"""The data contract: its rules, and holding months and requests to them."""
