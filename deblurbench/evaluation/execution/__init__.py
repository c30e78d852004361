"""Where the units of a run are worked off: in this process, in worker processes, on a cluster."""
