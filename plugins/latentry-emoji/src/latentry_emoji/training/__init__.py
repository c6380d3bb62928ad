"""Train the embedded model: scenes of emoji, the autoencoder, the denoiser, the exported folder."""
