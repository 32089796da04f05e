//! pagerduty
