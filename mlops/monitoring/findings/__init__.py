"""What was found and decided: records, the policy, and the alerts."""
