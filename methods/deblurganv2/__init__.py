"""DeblurGAN-v2: deblurring by a feature pyramid and a relativistic GAN (Kupyn, Martyniuk, Wu, Wang, ICCV 2019)."""
