"""Networks made of published or found cells, trained from scratch in the ordinary way."""
