"""Where scores come from and go to beside our own records: readers of other people's result files."""
