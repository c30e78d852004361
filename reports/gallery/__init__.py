"""The report that people open: one page with tables, plots, curves, pictures and a viewer."""
