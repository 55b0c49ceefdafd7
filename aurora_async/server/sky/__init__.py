"""The computed sky: where spacecraft were, where their field lines met the Earth, and when cameras saw the dark."""
