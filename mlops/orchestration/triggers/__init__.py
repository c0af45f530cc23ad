"""How runs are started from outside: schedules, API triggers, and who may ask for what."""
