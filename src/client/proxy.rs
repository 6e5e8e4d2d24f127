//! Which proxy a request takes, by the environment, as curl decides it. Pure: it is given the variables.

use std::net::IpAddr;

/// The proxy variables of the environment, lower case before upper case.
#[derive(Debug, Clone, Default)]
pub struct ProxyEnv {
    /// `https_proxy`
    pub https: Option<String>,
    /// `http_proxy`
    pub http: Option<String>,
    /// `all_proxy`
    pub all: Option<String>,
    /// `no_proxy`
    pub none: Option<String>,
}

impl ProxyEnv {
    /// Reads the variables through `var`. An empty variable counts as not set.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let of = |name: &str| {
            let lower = var(name).filter(|v| !v.is_empty());
            lower.or_else(|| var(&name.to_uppercase()).filter(|v| !v.is_empty()))
        };
        Self { https: of("https_proxy"), http: of("http_proxy"), all: of("all_proxy"), none: of("no_proxy") }
    }

    /// The proxy for a URL of this scheme and host, if one is to be used. Loopback is always direct.
    #[must_use]
    pub fn choose(&self, scheme: &str, host: &str) -> Option<&str> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if is_loopback(host) || self.none.as_deref().is_some_and(|list| excluded(list, host)) {
            return None;
        }
        let own = if scheme == "https" { &self.https } else { &self.http };
        own.as_deref().or(self.all.as_deref())
    }
}

/// The proxy's URL with a scheme and a port, which are http and 1080 where it names none, as for curl; for an https
/// proxy the port is 443. `None` if it is no URL of a proxy.
pub(super) fn complete(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let after_brackets = host.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match host[after_brackets..].rfind(':') {
        Some(colon) => (&host[..after_brackets + colon], &host[after_brackets + colon + 1..]),
        None => (host, ""),
    };
    let port: u16 = match port {
        "" if scheme.eq_ignore_ascii_case("https") => 443,
        "" => 1080,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    let at = if user.is_empty() { "" } else { "@" };
    (!host.is_empty()).then(|| format!("{scheme}://{user}{at}{host}:{port}"))
}

/// `localhost`, 127.0.0.0/8 and `::1`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether `no_proxy` names the host: a name covers its subdomains, an address may have a prefix length.
fn excluded(list: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    list.split([',', ' ', '\t']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        match host.parse::<IpAddr>() {
            _ if entry == "*" => true,
            Ok(ip) => covers(entry, ip),
            Err(_) => {
                let entry = entry.trim_start_matches('.').trim_end_matches('.');
                host.len().checked_sub(entry.len()).is_some_and(|at| {
                    host.is_char_boundary(at)
                        && host[at..].eq_ignore_ascii_case(entry)
                        && (at == 0 || host.as_bytes()[at - 1] == b'.')
                })
            }
        }
    })
}

fn covers(entry: &str, ip: IpAddr) -> bool {
    let (address, length) = entry.split_once('/').map_or((entry, None), |(a, l)| (a, Some(l)));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    match (address.parse::<IpAddr>(), ip) {
        (Ok(IpAddr::V4(net)), IpAddr::V4(ip)) => same_prefix(&net.octets(), &ip.octets(), length),
        (Ok(IpAddr::V6(net)), IpAddr::V6(ip)) => same_prefix(&net.octets(), &ip.octets(), length),
        _ => false,
    }
}

fn same_prefix(net: &[u8], ip: &[u8], length: Option<&str>) -> bool {
    let Some(bits) = length.map_or(Some(net.len() * 8), |l| l.parse().ok()).filter(|bits| *bits <= net.len() * 8)
    else {
        return false;
    };
    (0..bits).all(|bit| {
        let mask = 0x80 >> (bit % 8);
        net[bit / 8] & mask == ip[bit / 8] & mask
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(none: &str) -> ProxyEnv {
        ProxyEnv { https: Some("http://p:1".into()), none: Some(none.into()), ..ProxyEnv::default() }
    }

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        for (list, host, direct) in [
            ("example.com", "example.com", true),
            ("example.com", "api.example.com", true),
            (".example.com", "api.example.com", true),
            ("example.com", "notexample.com", false),
            ("EXAMPLE.com., other", "example.com", true),
            ("a b\tc", "b", true),
            ("*", "anything", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/99", "10.0.0.0", false),
            ("fd00::/8", "[fd12::1]", true),
            ("", "example.com", false),
        ] {
            assert_eq!(env(list).choose("https", host).is_none(), direct, "{list:?} {host}");
        }
    }

    #[test]
    fn a_proxy_without_a_port_has_that_of_curl() {
        for (url, complete) in [
            ("p", Some("http://p:1080")),
            ("p:3128", Some("http://p:3128")),
            ("http://p:/", Some("http://p:1080")),
            ("https://u:p@p", Some("https://u:p@p:443")),
            ("socks5h://[::1]", Some("socks5h://[::1]:1080")),
            ("http://[::1]:8/x", Some("http://[::1]:8")),
            ("http://p:99999", None),
            ("http://p:0", None),
            ("http://p:x", None),
            ("http://", None),
        ] {
            assert_eq!(super::complete(url).as_deref(), complete, "{url}");
        }
    }

    #[test]
    fn loopback_is_direct_and_all_proxy_is_the_fallback() {
        let all = ProxyEnv { all: Some("socks5h://p:1".into()), ..ProxyEnv::default() };
        assert_eq!(all.choose("https", "127.0.0.1"), None);
        assert_eq!(all.choose("http", "[::1]"), None);
        assert_eq!(all.choose("http", "example.com"), Some("socks5h://p:1"));
    }

    #[test]
    fn lower_case_wins_and_empty_is_unset() {
        let read = ProxyEnv::read(|name| match name {
            "https_proxy" => Some(String::new()),
            "HTTPS_PROXY" => Some("http://upper".into()),
            "no_proxy" => Some("lower".into()),
            "NO_PROXY" => Some("upper".into()),
            _ => None,
        });
        assert_eq!(read.https.as_deref(), Some("http://upper"));
        assert_eq!(read.none.as_deref(), Some("lower"));
    }
}
