"""HOW it is answered: engines behind ports.Engine. torch and transformers are imported here and nowhere else."""
