//! Takes secrets out of text before anybody reads it.
//!
//! Guarantees that the secrets a client holds, in their plain and percent-encoded forms, and whatever looks like a token of a
//! known vendor, leave this room as `[redacted]`; and that control characters from outside never reach a terminal. It holds
//! secrets and shows none: its own `Debug` names only how many.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

const MASK: &str = "[redacted]";

/// The beginnings of tokens that are secret whoever they belong to.
const TOKEN_PREFIXES: [&str; 10] = [
    "sntryu_",
    "sntrys_",
    "phx_",
    "phs_",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "sbp_",
    "hooks.slack.com/services/",
    "Bearer ",
];

/// What a client's errors and receipts are cleaned with.
#[derive(Clone, Default)]
pub struct Redactor(Vec<SecretString>);

impl Redactor {
    /// A redactor that knows nothing but the vendors' token forms.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that also knows this secret.
    #[must_use]
    pub fn with(mut self, secret: &SecretString) -> Self {
        self.add(secret.expose_secret());
        self
    }

    fn add(&mut self, plain: &str) {
        // Shorter ones would blank out innocent text, and are no secrets.
        if plain.len() >= 4 {
            let encoded: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
            if encoded != plain {
                self.0.push(SecretString::from(encoded));
            }
            let escaped = serde_json::Value::from(plain).to_string();
            let escaped = escaped.trim_matches('"');
            if escaped != plain {
                self.0.push(SecretString::from(escaped));
            }
            self.0.push(SecretString::from(plain));
        }
    }

    /// The text without secrets.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.0 {
            if clean.contains(secret.expose_secret()) {
                clean = clean.replace(secret.expose_secret(), MASK);
            }
        }
        for prefix in TOKEN_PREFIXES {
            clean = mask_after(&clean, prefix);
        }
        clean
    }

    /// The beginning of a body, at most `chars` characters, without secrets and fit for one line of a terminal.
    pub fn excerpt(&self, body: &[u8], chars: usize) -> String {
        // Cleaned before it is cut: half a token is still a leak.
        let text = String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]);
        let clean = self.clean(&text);
        let line = clean.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let mut short = String::new();
        for word in line {
            if !short.is_empty() {
                short.push(' ');
            }
            short.push_str(word);
            if short.len() > chars * 4 {
                break;
            }
        }
        match short.char_indices().nth(chars) {
            Some((at, _)) => format!("{}…", &short[..at]),
            None => short,
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.0.len())
    }
}

fn mask_after(text: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        let (before, from) = rest.split_at(at + prefix.len());
        let end =
            from.find(|c: char| !(c.is_ascii_alphanumeric() || "-_./+=".contains(c))).unwrap_or(from.len());
        out.push_str(before);
        if end >= 4 {
            out.push_str(MASK);
        } else {
            out.push_str(&from[..end]);
        }
        rest = &from[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_plain_encoded_and_by_their_form() {
        let redactor = Redactor::new().with(&SecretString::from("s3cr+t/va\"lue"));
        let text =
            redactor.clean(r#"a s3cr+t/va"lue b s3cr%2Bt%2Fva%22lue c s3cr+t/va\"lue d phx_abcDEF123 e"#);
        assert_eq!(text, "a [redacted] b [redacted] c [redacted] d phx_[redacted] e");
    }

    #[test]
    fn a_token_across_the_cut_is_masked_whole() {
        let redactor = Redactor::new().with(&SecretString::from("0123456789abcdef"));
        let body = format!("{}0123456789abcdef tail", "x".repeat(195));
        let short = redactor.excerpt(body.as_bytes(), 200);
        assert!(!short.contains("0123"), "{short}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(Redactor::new().excerpt(b"a\x1b[31m\n\tb", 200), "a [31m b");
    }
}
