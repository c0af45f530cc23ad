"""Mage's web server, with its doors shut and its pages repaired."""
