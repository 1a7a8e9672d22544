"""The same training, faster: CUDA graphs, several GPUs, and several VAEs in one step. The mathematics is not here."""
