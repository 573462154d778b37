//! Root certificates that TLS connections trust.
//!
//! Reading the certificates of the system takes most of a cold start: 145 of them are parsed. Those of Mozilla, compiled into the
//! binary as parsed trust anchors, cost nothing to read, and exist in container images without files, too.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Variables with which OpenSSL, and programs with its conventions, are told where certificates are.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Root certificates that TLS connections trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootCertificates {
    /// Those of Mozilla, as of the version of `webpki-roots` in Cargo.lock. They include all roots of AWS.
    BuiltIn,
    /// Those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    System,
}

impl RootCertificates {
    /// Returns those of the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` if one of them is set, otherwise the built-in ones.
    #[must_use]
    pub fn of_variables(variables: &[(String, String)]) -> Self {
        let is_set = variables.iter().any(|(name, value)| VARIABLES.contains(&name.as_str()) && !value.is_empty());
        if is_set { Self::System } else { Self::BuiltIn }
    }

    /// Configures TLS for these certificates.
    pub(super) fn configure(self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self {
            Self::BuiltIn => builder.tls_backend_preconfigured(built_in()),
            Self::System => builder,
        }
    }
}

fn built_in() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = ClientConfig::builder().with_root_certificates(Arc::new(roots)).with_no_client_auth();
    // The HTTP client speaks HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> RootCertificates {
        let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        RootCertificates::of_variables(&variables)
    }

    #[test]
    fn certificates_of_a_variable_replace_the_built_in_ones() {
        assert_eq!(of(&[("SSL_CERT_FILE", "/etc/ca.pem")]), RootCertificates::System);
        assert_eq!(of(&[("SSL_CERT_DIR", "/etc/ca")]), RootCertificates::System);
        assert_eq!(of(&[("SSL_CERT_FILE", "")]), RootCertificates::BuiltIn);
        assert_eq!(of(&[("AWS_CA_BUNDLE", "/etc/ca.pem")]), RootCertificates::BuiltIn);
    }

    /// Subjects from <https://www.amazontrust.com/repository/>: every certificate of AWS chains to one of them.
    #[test]
    fn all_roots_of_amazon_are_built_in() {
        let contains = |name: &str| {
            let is_inside = |subject: &[u8]| subject.windows(name.len()).any(|part| part == name.as_bytes());
            webpki_roots::TLS_SERVER_ROOTS.iter().any(|anchor| is_inside(&anchor.subject))
        };
        for name in
            ["Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4", "Starfield Services Root"]
        {
            assert!(contains(name), "{name}");
        }
    }
}
