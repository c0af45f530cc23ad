"""`mlops up`: the processes of the servers, kept running."""
