"""HandSchedule-v0: how far, in what way and when to shift the latents while a VAE learns. Rewards are `hand_env`'s."""
