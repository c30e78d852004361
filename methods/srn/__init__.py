"""SRN: scale-recurrent network for deep image deblurring (Tao, Gao, Shen, Wang, Jia, CVPR 2018)."""
