"""RDN: learning blind motion deblurring (Wieschollek et al., ICCV 2017)."""
