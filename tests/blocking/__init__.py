"""The blocking client, from threads as its users have them."""
