"""MB2D: blur more to deblur better (Park, Kang, Chun, 2020)."""
