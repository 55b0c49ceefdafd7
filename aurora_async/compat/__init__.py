"""The official clients' own names over ours: a script or notebook changes its import line and nothing else.

Each module speaks as its model does, to the letter of the text it prints, and leaves out its faults.
"""
