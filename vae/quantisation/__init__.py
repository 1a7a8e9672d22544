"""How large weights are stored in one byte each; `vae.checkpoint.load_weights` restores them."""
