//! statuspage
