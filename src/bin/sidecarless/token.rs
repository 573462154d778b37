//! `sidecarless token`: generates a bearer token, its hash for the function and the header for clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::CommandError;
use crate::output::CommandOutput;

/// 256 bits, as many as the hash has.
const TOKEN_BYTES: usize = 32;

pub(crate) fn run() -> Result<CommandOutput, CommandError> {
    let mut random = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| CommandError::Random)?;
    Ok(CommandOutput::complete(describe(&URL_SAFE_NO_PAD.encode(random))))
}

fn describe(token: &str) -> String {
    let hash = hex::encode(digest(&SHA256, token.as_bytes()));
    format!(
        "\
token    {token}
hash     {hash}
clients  OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20{token}

The function stores only the hash: add it to SIDECARLESS_TOKENS_SHA256 (TokensSha256 in the template). Store the token in your secret
store, such as Secrets Manager. To replace a token, add the new hash, update the clients, then remove the old hash.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str, name: &str) -> String {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }

    #[test]
    fn output_has_the_token_and_its_hash() {
        let text = describe("right");
        // Output of `printf %s right | sha256sum`.
        assert_eq!(field(&text, "hash "), "27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9");
        assert!(text.contains("OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20right\n"));
    }

    #[test]
    fn each_token_is_different() {
        let tokens = [run(), run()].map(|output| field(&output.unwrap().text, "token "));
        assert_eq!(tokens[0].len(), 43);
        assert_ne!(tokens[0], tokens[1]);
    }
}
