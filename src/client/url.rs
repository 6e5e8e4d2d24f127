//! Base URLs: what is an origin, and how a path is added.

use super::Endpoint;
use super::proxy::is_loopback;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Secret;

/// A parsed base URL without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    scheme: String,
    host: String,
    port: u16,
    /// From the scheme to the end of the path.
    before_query: String,
    /// With its question mark; empty for none.
    query: String,
}

impl Base {
    /// Parses a base URL that `source` (a flag or variable) gave.
    ///
    /// # Errors
    /// It is no http or https URL, or carries a user name or password.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let fail = |why: &str| {
            let source = if source.is_empty() { String::new() } else { format!("{source}: ") };
            Failure::new(Exit::Config, format!("{source}{why}"))
        };
        // The text is not shown: it may hold a password.
        let uri: ureq::http::Uri = text.parse().map_err(|_| fail("not a URL"))?;
        let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(fail("neither http:// nor https://")),
        };
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        if authority.contains('@') {
            return Err(fail("a URL must not carry a user name or password"));
        }
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if host.is_empty() {
            return Err(fail("a URL without a host"));
        }
        let path = uri.path().trim_end_matches('/');
        // The library takes a port that is none for no port, which would be another server.
        let after_host = authority.rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest);
        let port = match after_host.rsplit_once(':') {
            Some((_, digits)) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or_else(|| fail("the port is none"))?
            }
            None => default_port,
        };
        Ok(Self {
            port,
            before_query: format!("{scheme}://{authority}{path}"),
            query: uri.query().map(|query| format!("?{query}")).unwrap_or_default(),
            scheme,
            host,
        })
    }

    /// The values in its query that are keys by their names.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        const NAMES: [&str; 6] = ["key", "token", "secret", "sig", "auth", "pass"];
        let fields = self.query.trim_start_matches('?').split('&').filter_map(|field| field.split_once('='));
        let is_secret = |name: &str| NAMES.iter().any(|part| name.to_ascii_lowercase().contains(part));
        fields.filter(|(name, _)| is_secret(name)).map(|(_, value)| Secret::new(value.to_owned())).collect()
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether the host is a name that has to be looked up.
    #[must_use]
    pub fn is_name(&self) -> bool {
        !self.is_loopback() && self.host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err()
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether it is reached without a lookup, certificates or a proxy: plain http to an address of this machine.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        !self.is_https() && self.is_loopback() && self.host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
    }

    /// Where requests to `path` go, with these headers.
    #[must_use]
    pub fn endpoint(&self, path: &str, headers: Vec<(String, String)>) -> Endpoint {
        Endpoint { url: self.join(path), headers, host: self.host.clone(), is_local: self.is_loopback() }
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// Same scheme, host and port.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        (&self.scheme, &self.host, self.port) == (&other.scheme, &other.host, other.port)
    }

    /// The URL with `path` added before the query.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}{}", self.before_query, self.query)
    }

    /// `path` at the root of the origin.
    #[must_use]
    pub fn at_origin(&self, path: &str) -> String {
        format!("{}://{}:{}{path}", self.scheme, self.host, self.port)
    }

    /// The URL for people and transcripts, without its query.
    #[must_use]
    pub fn shown(&self) -> String {
        self.before_query.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Base {
        Base::parse(text, "--base-url").unwrap()
    }

    #[test]
    fn a_path_goes_before_the_query() {
        assert_eq!(base("https://a.b/v1/").join("/chat"), "https://a.b/v1/chat");
        assert_eq!(base("https://a.b/d?api-version=1").join("/chat"), "https://a.b/d/chat?api-version=1");
        assert_eq!(base("http://[::1]:8080/v1").at_origin("/props"), "http://[::1]:8080/props");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(base("https://A.b/x").same_origin(&base("https://a.b:443")));
        assert!(!base("https://a.b").same_origin(&base("http://a.b")));
        assert!(base("http://127.0.0.2:1").is_loopback() && !base("http://10.0.0.1").is_loopback());
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "file:///etc/passwd",
            "a.b/v1",
            "https://u:p@a.b",
            "https://",
            "http://a\r\nb",
            "http://a:99999",
            "http://a:8o80",
            "http://a:",
            "http://[::1]:0",
        ] {
            assert!(Base::parse(text, "--base-url").is_err(), "{text}");
        }
    }
}
