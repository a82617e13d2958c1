"""Stand-ins that speak the real protocols: a Hub on loopback, small models, engines with known answers."""
