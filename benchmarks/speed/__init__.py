"""The measurements behind `benchmarks/reference_speed.py`: what is called, who answers it, how it is timed."""
