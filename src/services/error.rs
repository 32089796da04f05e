//! What went wrong at a service, in words a person can act on.
//!
//! Guarantees that an error says who was asked, for what, what came back, whether anything may have changed there, and what
//! to do next. Text from outside enters only through the redactor. No retry logic here: that is `retry`.

use std::fmt;
use std::time::Duration;

use super::Receipt;

/// What came back instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The settings cannot work; nothing was sent.
    #[error("{0}")]
    Setup(String),
    /// No connection came about; nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The request went out and no answer came in time.
    #[error("no answer within {}", seconds(*.0))]
    TimedOut(Duration),
    /// The connection broke before the answer was complete.
    #[error("the connection broke before the answer was complete: {0}")]
    Cut(String),
    /// The answer was larger than the cap.
    #[error("the answer is larger than {0} bytes and was dropped")]
    TooLarge(usize),
    /// Too many requests.
    #[error("too many requests: {detail}")]
    Throttled {
        /// The service's words.
        detail: String,
        /// The wait that the service named, from when it said so.
        retry_after: Option<Duration>,
    },
    /// A quota or the plan's bill stands in the way; waiting does not help.
    #[error("quota used up: {0}")]
    Quota(String),
    /// The credential is missing, wrong or expired.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// The credential is good but may not do this.
    #[error("not allowed: {detail}")]
    Forbidden {
        /// The service's words.
        detail: String,
        /// The scope that is missing, when the service names it.
        missing: Option<String>,
    },
    /// There is no such thing, or the credential may not see it.
    #[error("not found: {0}")]
    NotFound(String),
    /// It is elsewhere now.
    #[error("moved: {0}")]
    Moved(String),
    /// Somebody else changed it, or another job is running.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The service understood and said no.
    #[error("refused ({}{status}): {detail}", .code.as_ref().map(|code| format!("{code}, ")).unwrap_or_default())]
    Refused {
        /// The HTTP status; 200 where a vendor hides failures in it.
        status: u16,
        /// The vendor's own code.
        code: Option<String>,
        /// The service's words.
        detail: String,
    },
    /// The service failed; the same request may work later.
    #[error("failed on its side ({status}): {detail}")]
    Broken {
        /// The HTTP status.
        status: u16,
        /// The service's words.
        detail: String,
        /// The wait that the service named.
        retry_after: Option<Duration>,
    },
    /// A good status over a body that cannot be read.
    #[error("answered {status} with something unreadable: {detail}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// Why, and how the body begins.
        detail: String,
    },
    /// It was accepted, but reading back did not show it.
    #[error("not proven: {0}")]
    NotProven(String),
    /// A child process failed.
    #[error("{program} ended with {}: {detail}", .code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}")))]
    Process {
        /// The program.
        program: String,
        /// Its exit code, if it had one.
        code: Option<i32>,
        /// The end of what it said.
        detail: String,
    },
}

impl Fault {
    /// The same fault with every text from outside passed through `clean`.
    #[must_use]
    pub fn reword(self, clean: impl Fn(String) -> String) -> Self {
        match self {
            Self::Setup(text) => Self::Setup(clean(text)),
            Self::Unreachable(text) => Self::Unreachable(clean(text)),
            Self::Cut(text) => Self::Cut(clean(text)),
            Self::Throttled { detail, retry_after } => Self::Throttled { detail: clean(detail), retry_after },
            Self::Quota(text) => Self::Quota(clean(text)),
            Self::Unauthenticated(text) => Self::Unauthenticated(clean(text)),
            Self::Forbidden { detail, missing } => {
                Self::Forbidden { detail: clean(detail), missing: missing.map(&clean) }
            }
            Self::NotFound(text) => Self::NotFound(clean(text)),
            Self::Moved(text) => Self::Moved(clean(text)),
            Self::Conflict(text) => Self::Conflict(clean(text)),
            Self::Refused { status, code, detail } => {
                Self::Refused { status, code: code.map(&clean), detail: clean(detail) }
            }
            Self::Broken { status, detail, retry_after } => {
                Self::Broken { status, detail: clean(detail), retry_after }
            }
            Self::Unreadable { status, detail } => Self::Unreadable { status, detail: clean(detail) },
            Self::NotProven(text) => Self::NotProven(clean(text)),
            Self::Process { program, code, detail } => Self::Process { program, code, detail: clean(detail) },
            timed @ (Self::TimedOut(_) | Self::TooLarge(_)) => timed,
        }
    }
}

/// Whether a request that failed changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was changed.
    Nothing,
    /// It may have been done: look before asking again.
    Unknown,
    /// It was done, or at least accepted.
    Accepted,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing was changed",
            Self::Unknown => "it is unknown whether it took effect",
            Self::Accepted => "the request itself was accepted",
        })
    }
}

#[derive(Clone)]
struct Parts {
    service: &'static str,
    asked: String,
    fault: Fault,
    effect: Effect,
    next: String,
    receipt: Receipt,
}

/// A call that did not come to a good end. Boxed, so that results stay small.
#[derive(Clone)]
pub struct ServiceError(Box<Parts>);

impl ServiceError {
    /// An error of `service`, asked for `asked`, with the usual advice for its fault.
    pub fn new(
        service: &'static str,
        asked: impl Into<String>,
        fault: Fault,
        effect: Effect,
        receipt: Receipt,
    ) -> Self {
        let next = usual_advice(&fault, effect).to_owned();
        Self(Box::new(Parts { service, asked: asked.into(), fault, effect, next, receipt }))
    }

    /// An error of settings: nothing was sent.
    pub fn setup(service: &'static str, asked: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::new(service, asked, Fault::Setup(problem.into()), Effect::Nothing, Receipt::default())
    }

    /// The same error with better advice.
    #[must_use]
    pub fn advise(mut self, next: impl Into<String>) -> Self {
        self.0.next = next.into();
        self
    }

    /// The same error, of which more is known about what it changed.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }

    /// Who was asked.
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// What was asked, as in "could not …".
    pub fn asked(&self) -> &str {
        &self.0.asked
    }

    /// What came back.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// Whether it may have taken effect all the same.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// What to do next.
    pub fn next(&self) -> &str {
        &self.0.next
    }

    /// The request it is about.
    pub fn receipt(&self) -> &Receipt {
        &self.0.receipt
    }

    /// Whether the same request may well work later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.fault,
            Fault::Unreachable(_)
                | Fault::TimedOut(_)
                | Fault::Cut(_)
                | Fault::Throttled { .. }
                | Fault::Broken { .. }
        )
    }

    /// Whether it is the service that failed, or the way to it: what we asked, and as whom, would have been right.
    pub fn is_its_own(&self) -> bool {
        self.is_transient()
            || matches!(
                self.0.fault,
                Fault::Unreadable { .. } | Fault::TooLarge(_) | Fault::Refused { status: 500.., .. }
            )
    }

    /// The wait that the service named.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.fault {
            Fault::Throttled { retry_after, .. } | Fault::Broken { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// Whether the service says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self.0.fault, Fault::NotFound(_))
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { service, asked, fault, effect, next, receipt } = &*self.0;
        write!(f, "{service}: could not {asked}: {fault}; {effect}; {next}")?;
        if !receipt.method.is_empty() {
            write!(f, " ({} {}", receipt.method, receipt.path)?;
            if receipt.attempts > 1 {
                write!(f, ", {} attempts", receipt.attempts)?;
            }
            if let Some(id) = &receipt.request_id {
                write!(f, ", request {id}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceError")
            .field("service", &self.0.service)
            .field("asked", &self.0.asked)
            .field("fault", &self.0.fault)
            .field("effect", &self.0.effect)
            .field("next", &self.0.next)
            .field("receipt", &self.0.receipt)
            .finish()
    }
}

impl std::error::Error for ServiceError {}

fn usual_advice(fault: &Fault, effect: Effect) -> &'static str {
    match (fault, effect) {
        (_, Effect::Unknown) => "look at the state there before asking again",
        (Fault::Setup(_), _) => "correct the setting",
        (Fault::Unreachable(_), _) => "check the base URL, the network and the vendor's status page",
        (Fault::TimedOut(_) | Fault::Cut(_) | Fault::Broken { .. }, _) => {
            "try again, and look at the vendor's status page if it stays"
        }
        (Fault::TooLarge(_), _) => "ask for less at once",
        (Fault::Throttled { .. }, _) => "wait as long as the service says, then try again",
        (Fault::Quota(_), _) => "raise the quota or settle the bill at the vendor",
        (Fault::Unauthenticated(_), _) => "check the token: missing, expired or of another account",
        (Fault::Forbidden { .. }, _) => "give the token the missing scope, or use one that has it",
        (Fault::NotFound(_), _) => "check the names and ids in the settings, and that the token may see them",
        (Fault::Moved(_), _) => "change the name in the settings",
        (Fault::Conflict(_), _) => "read the present state and decide again",
        (Fault::Refused { .. }, _) => "correct what was sent",
        (Fault::Unreadable { .. }, _) => "check that the base URL is the API and not a page or a proxy",
        (Fault::NotProven(_), _) => "look at the vendor's own page for it",
        (Fault::Process { .. }, _) => "run the command by hand to see more",
    }
}

/// A span as people say it: `10 s`, `250 ms`.
pub(crate) fn seconds(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format!("{} ms", span.as_millis())
    } else {
        format!("{:.0} s", span.as_secs_f64())
    }
}
