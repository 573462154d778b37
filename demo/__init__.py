"""Components of the demo and the end-to-end tests: peer processes, a sample shop, a function URL and result checks."""
