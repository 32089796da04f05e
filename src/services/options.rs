//! How a client proves who it is and how it behaves: the parameters of [`Http`](super::http::Http), and nothing else.
//!
//! Guarantees patient defaults; a vendor's client changes only what its vendor is particular about.

use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;

use super::limits::Gate;
use super::retry::Backoff;

/// How a client proves who it is.
#[derive(Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: <scheme> <secret>`.
    Header {
        /// The scheme, such as `Bearer`.
        scheme: &'static str,
        /// The token.
        secret: SecretString,
    },
    /// The client puts the secret into the path, the body or a header of its own; named here so that it is redacted.
    Elsewhere(SecretString),
}

impl Auth {
    /// The most usual form.
    pub fn bearer(secret: &SecretString) -> Self {
        Self::Header { scheme: "Bearer", secret: secret.clone() }
    }
}

/// What to do when the server says that this window's budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Only show it.
    Watch,
    /// Wait for the next window before asking again; the vendor's windows are so long.
    Obey(TimeDelta),
}

/// How a client behaves towards its vendor.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time for one attempt, in wall time.
    pub timeout: Duration,
    /// The largest body read.
    pub largest: usize,
    /// Attempts and waits.
    pub backoff: Backoff,
    /// The client's own queue.
    pub gate: Gate,
    /// What an empty budget means.
    pub budget: Budget,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            largest: 32 * 1024 * 1024,
            backoff: Backoff::default(),
            gate: Gate::default(),
            budget: Budget::Watch,
        }
    }
}
