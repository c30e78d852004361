"""ESTRNN: efficient spatio-temporal recurrent network (Zhong et al., ECCV 2020)."""
