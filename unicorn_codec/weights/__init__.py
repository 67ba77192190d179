"""A network's weights and the section that holds them: floats of few bits, or entropy-coded integers."""
