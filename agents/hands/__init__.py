"""The recipe for the packaged hands: pictures, autoencoder, prior, agent."""
