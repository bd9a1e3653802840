"""What generated messages stand on."""
