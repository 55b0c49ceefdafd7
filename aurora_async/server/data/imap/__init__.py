"""Names and rows that the real data center has published. Each file says where its facts come from."""
