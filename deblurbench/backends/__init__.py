"""Where a method runs: in this process, in a separate Python environment, or as a command."""
