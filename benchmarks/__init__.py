"""What the library costs: run one of the programs."""
