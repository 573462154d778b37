//! Settings of the OTLP receiver.

use super::{ON_OFF, Setting, store};
use crate::settings::{Auth, values};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "SIDECARLESS_AUTH",
        values: "`token`, `iam`, `none`",
        default: "token",
        description: "Authentication of clients: bearer token, IAM signature, or none.",
        apply: |settings, text| {
            let methods = [("token", Auth::Token), ("iam", Auth::Iam), ("none", Auth::Disabled)];
            store(&mut settings.auth, values::choice(text, &methods))
        },
    },
    Setting {
        name: "SIDECARLESS_TOKENS_SHA256",
        values: "list of 64 hex digits",
        default: "",
        description: "SHA-256 hashes of valid bearer tokens. To rotate tokens, list the old and the new hash.",
        apply: |settings, text| store(&mut settings.tokens, values::parse_list(text, values::sha256)),
    },
    Setting {
        name: "SIDECARLESS_IAM_CALLERS",
        values: "list of globs",
        default: "*",
        description: "With `SIDECARLESS_AUTH=iam`, the allowed callers: names of roles in the account of the function, role ARNs, or session ARNs. `*` allows every caller that IAM admits.",
        apply: |settings, text| {
            settings.iam_callers = values::list(text).map(str::to_owned).collect();
            Ok(())
        },
    },
    Setting {
        name: "SIDECARLESS_CORS_ORIGINS",
        values: "list of origins, or `*`",
        default: "",
        description: "Origins whose pages may send OTLP from a browser, such as `https://shop.example.com` (docs/networking.md). `*` allows every page. If unset, browsers allow no page to send.",
        apply: |settings, text| store(&mut settings.cors_origins, values::parse_list(text, values::origin)),
    },
    Setting {
        name: "SIDECARLESS_IDENTITY",
        values: "`on`, `off`",
        default: "on",
        description: "Adds cluster, service, task and zone of the sending task to OTLP data (docs/identity.md).",
        apply: |settings, text| store(&mut settings.identity, values::choice(text, ON_OFF)),
    },
];
