"""How large weights are stored in one byte each; `vae.checkpoint` writes and reads the files."""
