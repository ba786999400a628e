"""The parameters of the entry points: how they are declared and parsed, and what each step takes."""
