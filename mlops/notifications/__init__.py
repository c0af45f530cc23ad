"""Telling people what happened: alerts, the channels they go through, one message per incident."""
