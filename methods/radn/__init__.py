"""RADN: region-adaptive dense network for efficient motion deblurring (Purohit, Rajagopalan, AAAI 2020)."""
