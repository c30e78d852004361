"""BANet: blur-aware attention networks for dynamic scene deblurring (Tsai, Peng, Lin, Tsai, Lin, 2021)."""
