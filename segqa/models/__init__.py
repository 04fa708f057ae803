"""Model protocol, proposals, pickers, the built-in models, their runtimes, checkpoints and fingerprints."""
