"""What people look at: progress while it runs, tables afterwards."""
