"""OVD: online video deblurring via dynamic temporal blending (Kim et al., ICCV 2017)."""
