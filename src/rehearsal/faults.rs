//! What can go wrong in a rehearsal, as data: thrown in by a scenario or by hand, and over when its time is up.
//!
//! Pure: a fault says what is wrong and since when; the stand-ins and the traffic read it and misbehave accordingly. No
//! fault may reach into gonogo itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who stands at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// The relationship service that contacts are imported from.
    Pulse,
    /// Errors and performance, both the API and the ingestion.
    Sentry,
    /// Product analytics and feature flags, both the API and the ingestion.
    Posthog,
    /// The host of the application's builds.
    Vercel,
    /// The team's chat.
    Slack,
    /// The public status page.
    Statuspage,
    /// The pager.
    Pagerduty,
    /// The application itself.
    App,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Fault {
    /// The new page throws. `rate` is the share of all page loads that fail at the exposure of the moment it starts;
    /// less exposure (flag off, older build) then means fewer errors.
    ErrorSpike {
        /// Errors per page load over everybody, 0.12 for 12 %.
        rate: f64,
    },
    /// Every page loads so many times slower.
    SlowPages {
        /// 3.0 for three times as slow.
        factor: f64,
    },
    /// The application answers 503 to everything, and nobody sees a page.
    AppDown,
    /// Sentry accepts events and drops them: outcome `rate_limited`.
    SentrySilent,
    /// PostHog accepts events and drops them: `quota_limited`.
    PosthogSilent,
    /// The vendor answers 503 in its own words.
    Outage {
        /// Whose.
        vendor: Vendor,
    },
    /// The vendor takes the request and never answers.
    Hang {
        /// Whose.
        vendor: Vendor,
    },
    /// A gateway before the vendor answers 502 in HTML.
    BadGateway {
        /// Whose.
        vendor: Vendor,
    },
    /// The vendor does what was asked, and the connection breaks in the middle of the answer.
    Reset {
        /// Whose.
        vendor: Vendor,
    },
    /// The vendor refuses everything for its rate limit.
    RateLimit {
        /// Whose.
        vendor: Vendor,
    },
    /// Builds at Vercel end in ERROR.
    BrokenBuild,
    /// Moving the production domains at Vercel ends in `failed`.
    StuckAliases,
}

impl Fault {
    /// The word for it, as scenarios spell it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ErrorSpike { .. } => "error-spike",
            Self::SlowPages { .. } => "slow-pages",
            Self::AppDown => "app-down",
            Self::SentrySilent => "sentry-silent",
            Self::PosthogSilent => "posthog-silent",
            Self::Outage { .. } => "outage",
            Self::Hang { .. } => "hang",
            Self::BadGateway { .. } => "bad-gateway",
            Self::Reset { .. } => "reset",
            Self::RateLimit { .. } => "rate-limit",
            Self::BrokenBuild => "broken-build",
            Self::StuckAliases => "stuck-aliases",
        }
    }

    /// Whose socket misbehaves, where it is a fault of one socket.
    pub const fn vendor(&self) -> Option<Vendor> {
        match self {
            Self::Outage { vendor }
            | Self::Hang { vendor }
            | Self::BadGateway { vendor }
            | Self::Reset { vendor }
            | Self::RateLimit { vendor } => Some(*vendor),
            Self::AppDown => Some(Vendor::App),
            _ => None,
        }
    }
}

/// A fault and the time it lasts. A span in the future is a fault to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// What is wrong.
    pub fault: Fault,
    /// Since when.
    pub from: DateTime<Utc>,
    /// Until when; without it, until cleared.
    pub until: Option<DateTime<Utc>>,
}

impl Span {
    /// Whether it is wrong at `at`.
    pub fn covers(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// The fault of a vendor's socket at `at`; the newest wins.
pub fn of_vendor(spans: &[Span], vendor: Vendor, at: DateTime<Utc>) -> Option<&Span> {
    spans.iter().rev().find(|span| span.covers(at) && span.fault.vendor() == Some(vendor))
}

/// Whether any fault of this kind covers `at`.
pub fn any(spans: &[Span], kind: &str, at: DateTime<Utc>) -> bool {
    spans.iter().any(|span| span.fault.kind() == kind && span.covers(at))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_fault_ends_when_its_time_is_up_and_the_newest_wins() {
        let from = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let outage = Span {
            fault: Fault::Outage { vendor: Vendor::Pulse },
            from,
            until: Some(from + TimeDelta::seconds(60)),
        };
        let hang = Span {
            fault: Fault::Hang { vendor: Vendor::Pulse },
            from: from + TimeDelta::seconds(30),
            until: None,
        };
        let spans = [outage, hang];
        let kind =
            |s| of_vendor(&spans, Vendor::Pulse, from + TimeDelta::seconds(s)).map(|span| span.fault.kind());
        assert_eq!(kind(-1), None);
        assert_eq!(kind(1), Some("outage"));
        assert_eq!(kind(40), Some("hang"));
        assert_eq!(of_vendor(&spans, Vendor::Slack, from), None);
    }

    #[test]
    fn a_fault_reads_as_scenarios_write_it() {
        let fault: Fault = toml::from_str("kind = 'outage'\nvendor = 'pulse'").unwrap();
        assert_eq!(fault, Fault::Outage { vendor: Vendor::Pulse });
        assert!(toml::from_str::<Fault>("kind = 'outage'\nvendor = 'nobody'").is_err());
    }
}
