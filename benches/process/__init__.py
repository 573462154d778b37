"""Benchmarks the release binary with a Runtime API, AMP and X-Ray on loopback. Uses the standard library only."""
