//! `[metrics.NAME]`: the five gauges that every deployment has, changed in part or joined by others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::super::{Better, Metric, MetricId, Severity, Unit};
use super::words;

/// What a file says of one gauge; what it leaves out stays as it is by default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricTable {
    /// Its name on the screen.
    pub label: Option<String>,
    /// The unit of its numbers.
    pub unit: Option<Unit>,
    /// Which direction is good.
    pub better: Option<Better>,
    /// What is promised.
    pub target: Option<f64>,
    /// Beyond this somebody is called.
    pub alert: Option<f64>,
    /// How bad that is.
    pub severity: Option<Severity>,
    /// What reads it.
    pub source: Option<String>,
    /// How far one reading looks back.
    #[serde(deserialize_with = "words::maybe_span")]
    pub window: Option<Duration>,
    /// Below so many observations there is no verdict.
    pub min_samples: Option<u64>,
    /// Older than this is stale.
    #[serde(deserialize_with = "words::maybe_span")]
    pub fresh: Option<Duration>,
    /// How long beyond `alert` before it fires.
    #[serde(deserialize_with = "words::maybe_span")]
    pub hold: Option<Duration>,
}

/// The five gauges of every deployment, in the order of the screen.
pub fn defaults() -> Vec<Metric> {
    let (s, min) = (Duration::from_secs, Duration::from_mins);
    let metric = |id: &str, label: &str, unit, better, (target, alert), severity, source: &str| Metric {
        id: MetricId::from(id),
        label: label.to_owned(),
        unit,
        better,
        target,
        alert,
        severity,
        source: source.to_owned(),
        window: min(5),
        min_samples: 20,
        fresh: min(2),
        hold: min(1),
    };
    let (lower, higher) = (Better::Lower, Better::Higher);
    let (warning, critical) = (Severity::Warning, Severity::Critical);
    vec![
        // Alerts must come within five minutes of the first error: 90 s until the vendors know of it, somewhat more than a
        // minute until a spike outweighs the calm part of the window, and the hold. Three minutes are a hundred page loads
        // at 2,000 an hour.
        Metric {
            window: min(3),
            min_samples: 50,
            fresh: min(3),
            ..metric(
                "error_rate",
                "error rate",
                Unit::Percent,
                lower,
                (0.5, 5.0),
                critical,
                "sentry-error-rate",
            )
        },
        Metric {
            window: min(15),
            fresh: min(5),
            hold: min(5),
            ..metric(
                "page_load",
                "page load p95",
                Unit::Seconds,
                lower,
                (2.0, 5.0),
                warning,
                "posthog-page-load",
            )
        },
        Metric {
            window: min(10),
            min_samples: 10,
            fresh: min(2),
            hold: min(2),
            ..metric("uptime", "uptime", Unit::Percent, higher, (99.9, 99.0), critical, "app-uptime")
        },
        Metric {
            window: min(60),
            min_samples: 1,
            fresh: min(20),
            hold: s(0),
            ..metric(
                "sync_success",
                "sync success",
                Unit::Percent,
                higher,
                (95.0, 80.0),
                warning,
                "sync-success",
            )
        },
        metric("database_p95", "database p95", Unit::Millis, lower, (500.0, 2000.0), warning, "postgres-p95"),
    ]
}

/// The gauges of a file: the five with what it changes, then its own by name.
pub(super) fn merged(tables: &BTreeMap<String, MetricTable>) -> Vec<Metric> {
    let mut metrics = defaults();
    for metric in &mut metrics {
        if let Some(table) = tables.get(&*metric.id.0) {
            table.change(metric);
        }
    }
    let own = tables.iter().filter(|(name, _)| !is_default(name));
    metrics.extend(own.map(|(name, table)| {
        let mut metric = Metric {
            id: MetricId::from(name.as_str()),
            label: name.replace('_', " "),
            unit: Unit::Count,
            better: Better::Lower,
            target: 0.0,
            alert: 0.0,
            severity: Severity::Warning,
            source: String::new(),
            window: Duration::from_mins(5),
            min_samples: 1,
            fresh: Duration::from_mins(2),
            hold: Duration::from_mins(1),
        };
        table.change(&mut metric);
        metric
    }));
    metrics
}

/// Whether a gauge of that name is one of the five.
pub(super) fn is_default(name: &str) -> bool {
    defaults().iter().any(|metric| &*metric.id.0 == name)
}

impl MetricTable {
    /// The keys that a gauge of the file's own cannot be without.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        [
            ("source", self.source.is_none()),
            ("unit", self.unit.is_none()),
            ("better", self.better.is_none()),
            ("target", self.target.is_none()),
            ("alert", self.alert.is_none()),
        ]
        .into_iter()
        .filter_map(|(key, missing)| missing.then_some(key))
        .collect()
    }

    fn change(&self, metric: &mut Metric) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(from) = from {
                to.clone_from(from);
            }
        }
        set(&mut metric.label, self.label.as_ref());
        set(&mut metric.unit, self.unit.as_ref());
        set(&mut metric.better, self.better.as_ref());
        set(&mut metric.target, self.target.as_ref());
        set(&mut metric.alert, self.alert.as_ref());
        set(&mut metric.severity, self.severity.as_ref());
        set(&mut metric.source, self.source.as_ref());
        set(&mut metric.window, self.window.as_ref());
        set(&mut metric.min_samples, self.min_samples.as_ref());
        set(&mut metric.fresh, self.fresh.as_ref());
        set(&mut metric.hold, self.hold.as_ref());
    }
}
