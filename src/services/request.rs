//! What is asked and what came back, before anybody interprets it.
//!
//! Guarantees that ids put into a path are encoded, and that a body is bytes until somebody asks for JSON: the content type
//! decides nothing. Nothing is sent from here.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::Receipt;
use super::retry::Repeat;

/// Percent-encodes one segment of a path.
pub fn segment(text: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

/// Which statuses are answers, not failures.
#[derive(Clone)]
pub(super) enum Welcome {
    Success,
    Also(Vec<u16>),
    All,
}

impl Welcome {
    pub(super) fn has(&self, status: u16) -> bool {
        match self {
            Self::Success => (200..300).contains(&status),
            Self::Also(more) => (200..300).contains(&status) || more.contains(&status),
            Self::All => true,
        }
    }
}

/// One request to be sent.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    pub(super) repeat: Repeat,
    pub(super) asked: String,
    pub(super) timeout: Option<Duration>,
    pub(super) welcome: Welcome,
    pub(super) needs: Option<&'static str>,
    pub(super) read: bool,
}

impl Request {
    /// A request; `asked` completes "could not …".
    pub fn new(method: Method, path: impl Into<String>, asked: impl Into<String>) -> Self {
        let read = method.is_safe();
        let repeat = if read { Repeat::Safe } else { Repeat::OnlyIfNothingHappened };
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            repeat,
            asked: asked.into(),
            timeout: None,
            welcome: Welcome::Success,
            needs: None,
            read,
        }
    }

    /// A read.
    pub fn get(path: impl Into<String>, asked: impl Into<String>) -> Self {
        Self::new(Method::GET, path, asked)
    }

    /// A write that adds something each time it is sent.
    pub fn post(path: impl Into<String>, asked: impl Into<String>) -> Self {
        Self::new(Method::POST, path, asked)
    }

    /// A question that is too long for a URL: sent by POST, and changes nothing.
    pub fn ask(path: impl Into<String>, asked: impl Into<String>) -> Self {
        Self { read: true, ..Self::new(Method::POST, path, asked).repeatable() }
    }

    /// A write to a fixed state, so it may be sent again.
    pub fn patch(path: impl Into<String>, asked: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path, asked).repeatable()
    }

    /// Sending it twice does no harm.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    /// Whether it may be sent again, whatever the method suggests.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Sending it twice does harm, whatever the method suggests.
    #[must_use]
    pub fn only_once(mut self) -> Self {
        self.repeat = Repeat::OnlyIfNothingHappened;
        self
    }

    /// Adds a query parameter; the same name may come several times.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike, without an & on each")]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a query parameter if there is a value.
    #[must_use]
    pub fn maybe_query(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header of this request alone; values that no header can carry are left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }

    /// Sends a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json; charset=utf-8", body.to_string().into_bytes())
    }

    /// Sends bytes.
    #[must_use]
    pub fn raw(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Some(body);
        self
    }

    /// Another time-out than the client's, in wall time.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A status outside 200–299 that is an answer here, not a failure.
    #[must_use]
    pub fn welcome(mut self, statuses: &[u16]) -> Self {
        self.welcome = Welcome::Also(statuses.to_vec());
        self
    }

    /// Whatever the status, it is an answer.
    #[must_use]
    pub fn welcome_all(mut self) -> Self {
        self.welcome = Welcome::All;
        self
    }

    /// The scope that the credential must have; said when it is refused.
    #[must_use]
    pub fn needs(mut self, scope: &'static str) -> Self {
        self.needs = Some(scope);
        self
    }
}

/// What came back, unread.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
    /// The request it answers.
    pub receipt: Receipt,
    pub(super) asked: String,
    pub(super) read: bool,
    pub(super) needs: Option<&'static str>,
}

impl Reply {
    /// The body as JSON, if it is some.
    pub fn value(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_one_segment_of_a_path() {
        assert_eq!(segment("logos-vision-crm@2.0.0"), "logos-vision-crm%402.0.0");
        assert_eq!(segment("a b/c"), "a%20b%2Fc");
    }

    #[test]
    fn posts_are_sent_once_unless_said_otherwise() {
        assert_eq!(Request::post("x", "x").repeat, Repeat::OnlyIfNothingHappened);
        assert_eq!(Request::post("x", "x").repeatable().repeat, Repeat::Safe);
        assert_eq!(Request::get("x", "x").repeat, Repeat::Safe);
        assert_eq!(Request::patch("x", "x").only_once().repeat, Repeat::OnlyIfNothingHappened);
    }
}
