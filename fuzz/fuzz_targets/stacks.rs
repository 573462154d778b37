//! Parses any text as a stack trace. The first byte selects the language.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::translate::Compat;
use sidecarless::translate::spans::stack::{Language, parse};

const LANGUAGES: [&[u8]; 7] = [b"java", b"python", b"nodejs", b"dotnet", b"go", b"rust", b"ruby"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let language = LANGUAGES[usize::from(*choice) % LANGUAGES.len()];
    for compat in [Compat::Corrected, Compat::Adot] {
        let stack = parse(Language::from_sdk_language(language, compat), &text, compat);
        assert!(stack.frames.len() <= text.len());
    }
});
