//! Clients of the outside world, all over one HTTP layer.
//!
//! The room guarantees that every call has a time-out, that a write is never repeated blindly, that what a server says
//! about waiting is obeyed, that no secret leaves through an error, a log line or a receipt, and that silence, throttling
//! and failure never look like a number. What may not enter: plans, runs, stores, workers, screens. A client takes plain
//! parameters and a [`Clock`](crate::clock::Clock) and answers with what the vendor said.

pub mod compose;
pub mod dialect;
pub mod error;
pub mod http;
pub mod lenient;
pub mod limits;
pub mod options;
pub mod pagerduty;
pub mod posthog;
pub mod probe;
pub mod pulse;
pub mod redact;
pub mod request;
pub mod retry;
pub mod sentry;
pub mod slack;
pub mod statuspage;
#[cfg(test)]
pub(crate) mod testing;
pub mod vercel;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use error::{Effect, Fault, ServiceError};
pub use limits::RateBudget;

/// What a client's call comes back with.
pub type Outcome<T> = Result<Answer<T>, ServiceError>;

/// An answer and the proof of where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What the service said.
    pub value: T,
    /// Which request it answered.
    pub receipt: Receipt,
}

impl<T> Answer<T> {
    /// The same receipt over another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), receipt: self.receipt }
    }
}

/// One request as it is kept for evidence: enough to find it at the vendor, and nothing secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The service asked.
    pub service: String,
    /// The method, or `run` for a child process.
    pub method: String,
    /// The path without its query, redacted.
    pub path: String,
    /// The status that came back, if any did.
    pub status: Option<u16>,
    /// How many times it was sent.
    pub attempts: u32,
    /// How long the last attempt took, in wall time.
    pub took: Duration,
    /// The id under which the vendor knows the request.
    pub request_id: Option<String>,
    /// When the last attempt began.
    pub at: DateTime<Utc>,
}
