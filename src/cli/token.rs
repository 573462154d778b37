//! `sidecarless token`: a new bearer token, its hash for the function and the header for its clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// 256 bits: nobody guesses them, and nothing is gained by more.
const BYTES: usize = 32;

/// What is printed.
pub(super) fn token() -> Result<String, String> {
    let mut random = [0; BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(described(&URL_SAFE_NO_PAD.encode(random)))
}

fn described(token: &str) -> String {
    let hash: String = digest(&SHA256, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "\
token    {token}
hash     {hash}
clients  OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20{token}

The function knows the hash only: add it to SIDECARLESS_TOKENS_SHA256 (TokensSha256 in the template). Keep the token where your tasks
take secrets from. To change a token: add the new hash beside the old one, give clients the new token, then take the old hash away.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_another_and_comes_with_its_hash() {
        let line =
            |text: &str, name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(line(&one, "token ").len(), 43);
        assert_ne!(line(&one, "token "), line(&other, "token "));
        let known = described("right");
        // As `printf %s right | sha256sum` has it.
        assert_eq!(line(&known, "hash "), "27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9");
        assert!(known.contains("OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20right\n"));
    }
}
