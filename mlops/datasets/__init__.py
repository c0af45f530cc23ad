"""The only place that knows a problem: what a table holds, what is asked of it, and when."""
