"""Structures and published values of JSOC's series. Each file says where its facts come from."""
