"""What a run is: its contract, how it ends, and what Mage's tables and files say of it."""
