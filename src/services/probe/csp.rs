//! A content-security policy, as far as it decides whether the page may reach a host.
//!
//! Guarantees that a policy it cannot see counts as none, and that several policies must all allow. Monitoring that the policy
//! forbids stays silent, and silence reads as zero errors.

use url::Url;

/// The policies that a page came with; all must allow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Csp(Vec<Vec<(String, Vec<String>)>>);

impl Csp {
    /// Takes policies apart, each as it stood in a header or meta element.
    pub fn parse<'a>(policies: impl IntoIterator<Item = &'a str>) -> Self {
        let directives = |policy: &str| {
            policy
                .split(';')
                .filter_map(|directive| {
                    let mut words = directive.split_whitespace().map(str::to_owned);
                    Some((words.next()?.to_ascii_lowercase(), words.collect()))
                })
                .collect::<Vec<_>>()
        };
        // A header may hold several, separated by commas.
        let all = policies.into_iter().flat_map(|text| text.split(',')).map(directives);
        Self(all.filter(|policy| !policy.is_empty()).collect())
    }

    /// Whether there is none, so that everything is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a page at `page` may reach `target` under a directive such as `connect-src`.
    pub fn allows(&self, directive: &str, page: &Url, target: &Url) -> bool {
        self.0.iter().all(|policy| {
            let named =
                |name: &str| policy.iter().find(|(known, _)| known == name).map(|(_, sources)| sources);
            match named(directive).or_else(|| named("default-src")) {
                None => true,
                Some(sources) => sources.iter().any(|source| matches(source, page, target)),
            }
        })
    }
}

fn matches(source: &str, page: &Url, target: &Url) -> bool {
    let source = source.to_ascii_lowercase();
    match source.as_str() {
        "*" => return matches!(target.scheme(), "http" | "https" | "ws" | "wss"),
        "'self'" => return page.origin() == target.origin(),
        _ if source.starts_with('\'') => return false,
        _ => {}
    }
    if let Some(scheme) = source.strip_suffix(':') {
        return scheme == target.scheme() || (scheme == "http" && target.scheme() == "https");
    }
    let (scheme, rest) = match source.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, source.as_str()),
    };
    let scheme = scheme.unwrap_or(page.scheme());
    if !(scheme == target.scheme() || (scheme == "http" && target.scheme() == "https")) {
        return false;
    }
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port == "*" || port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, Some(port))
        }
        _ => (authority, None),
    };
    let port_fits = match port {
        Some("*") => true,
        Some(port) => port.parse().ok() == target.port_or_known_default(),
        None => target.port().is_none(),
    };
    let name = target.host_str().unwrap_or_default();
    let host_fits = match host.strip_prefix("*.") {
        Some(parent) => name.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host == name,
    };
    let path_fits = path.is_none_or(|path| {
        let asked = target.path().trim_start_matches('/');
        path.is_empty() || asked == path || (path.ends_with('/') && asked.starts_with(path))
    });
    port_fits && host_fits && path_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(policy: &str, target: &str) -> bool {
        let page = "https://app.logosvision.com/".parse().unwrap();
        Csp::parse([policy]).allows("connect-src", &page, &target.parse().unwrap())
    }

    #[test]
    fn sources_match_as_browsers_match_them() {
        let sentry = "https://o123.ingest.us.sentry.io/api/1/envelope/";
        assert!(allows("", sentry));
        assert!(allows("script-src 'self'", sentry));
        assert!(!allows("default-src 'self'", sentry));
        assert!(allows("default-src 'self'; connect-src 'self' https://*.ingest.us.sentry.io", sentry));
        assert!(allows("connect-src *.sentry.io", sentry));
        assert!(allows("connect-src https:", sentry));
        assert!(!allows("connect-src https://sentry.io", sentry));
        assert!(!allows("connect-src 'none'", sentry));
        assert!(!allows("connect-src", sentry));
        assert!(!allows("connect-src *.xsentry.io http://o123.ingest.us.sentry.io:8080", sentry));
        assert!(allows("connect-src 'self'", "https://app.logosvision.com/api"));
        assert!(!allows("connect-src https://us.i.posthog.com/decide", "https://us.i.posthog.com/flags/"));
    }

    #[test]
    fn all_policies_must_allow() {
        let page: Url = "https://app.logosvision.com/".parse().unwrap();
        let target: Url = "https://us.i.posthog.com/".parse().unwrap();
        let csp = Csp::parse(["connect-src https://us.i.posthog.com", "default-src 'self'"]);
        assert!(!csp.allows("connect-src", &page, &target));
    }
}
