"""How large weights are stored in one byte each; `vae.files.load_weights` restores them."""
