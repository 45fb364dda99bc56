"""How dates are written, per language: where Django's own way mixes with ours, ours."""
