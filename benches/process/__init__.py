"""Measures the release binary as Lambda runs it: under a Runtime API, with AMP and X-Ray on loopback. Standard library only."""
