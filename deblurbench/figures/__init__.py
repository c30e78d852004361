"""Figures for papers, drawn by matplotlib from plain data: the same data, the same bytes, as PDF, SVG and PNG."""
