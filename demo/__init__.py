"""The demo's pieces, which the end-to-end tests use as well: real peers, a small shop, a Function URL, and the read-back."""
