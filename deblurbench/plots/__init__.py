"""Figures for papers and for the report, drawn with matplotlib."""
