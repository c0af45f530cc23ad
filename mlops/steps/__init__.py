"""What each Mage block calls: one function per block, JSON in and JSON out."""
