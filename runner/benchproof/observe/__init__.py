"""What the machine is: one table of probes, each value known or unknown with its reason."""
