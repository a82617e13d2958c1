"""A record in other formats: pure functions of the record and its samples; no clock, no network, no environment."""
