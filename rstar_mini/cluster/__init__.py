"""The same rounds on many GPUs and machines: shards of problems are searched by actors of a Ray cluster."""
