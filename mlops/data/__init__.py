"""Data of any problem: tables in files, windows in time, snapshots, and references to them."""
