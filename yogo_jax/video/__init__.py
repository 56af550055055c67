"""Real videos through the network: read, cut into windows and tiles, upscale, encode, put together again."""
