"""The worked case, taxi trips in New York: sources, data contract, features, sample of trips."""
