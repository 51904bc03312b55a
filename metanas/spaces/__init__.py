"""Search spaces: the choices, and the networks that they build."""
