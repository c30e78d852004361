"""What commands share besides their options: the console, completion, dry runs, and what is printed of a run."""
