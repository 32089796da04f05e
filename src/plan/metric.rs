//! A gauge and its thresholds. Judging a reading against them is `run::judge`'s work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name of a metric in `gonogo.toml` (`error_rate`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricId(pub Arc<str>);

impl From<&str> for MetricId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One gauge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name in files and events.
    pub id: MetricId,
    /// Its name on the screen ("error rate").
    pub label: String,
    /// The unit of `target`, `alert` and every reading.
    pub unit: Unit,
    /// Which direction is good.
    pub better: Better,
    /// What the plan promises.
    pub target: f64,
    /// Beyond this somebody is called.
    pub alert: f64,
    /// How bad it is beyond `alert`.
    pub severity: Severity,
    /// The name of the source that reads it (`workers::monitor` lists them).
    pub source: String,
    /// Over how long a time one reading looks back.
    #[serde(with = "seconds")]
    pub window: Duration,
    /// Below this many observations a reading is no verdict.
    pub min_samples: u64,
    /// A reading older than this is stale, and no verdict either.
    #[serde(with = "seconds")]
    pub fresh: Duration,
    /// How long a reading must stay beyond `alert` before the alert fires.
    #[serde(with = "seconds")]
    pub hold: Duration,
}

/// What a number is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// 0 to 100.
    Percent,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// A bare number.
    Count,
}

impl Unit {
    /// The sign after the number.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Seconds => "s",
            Self::Millis => "ms",
            Self::Count => "",
        }
    }
}

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// As an error rate.
    Lower,
    /// As uptime.
    Higher,
}

/// How bad a broken threshold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// Decide within minutes.
    Critical,
}

pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(span.as_secs())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}
