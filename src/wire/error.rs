//! What can go wrong with a request, in one vocabulary for all providers. Retries, pruning and exit codes are
//! decided from it, and nowhere from the words of a message.

use std::fmt;
use std::time::Duration;

use super::fault;
use crate::base::exit::Exit;
use crate::base::failure::Failure;

/// The kinds of failure, as transcripts name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The key is missing or wrong.
    Auth,
    /// The key may not do this.
    Permission,
    /// No money or a spend limit reached: waiting does not help.
    Quota,
    /// Unknown model or path.
    NotFound,
    /// The server refuses this request for good.
    BadRequest,
    /// The prompt does not fit the model's window.
    ContextLength,
    /// The body is larger than the server takes.
    TooLarge,
    /// Declined by policy.
    Refusal,
    /// Too many requests or tokens a minute.
    RateLimit,
    /// No capacity at the moment.
    Overloaded,
    /// The server failed.
    Server,
    /// No connection could be made.
    Network,
    /// Connect, first byte or next byte took too long.
    Timeout,
    /// The reply ended before its end.
    Truncated,
    /// A success without a reply in it.
    Empty,
    /// Not what the API says.
    Protocol,
    /// The run was stopped from outside.
    Cancelled,
    /// TLS failed: the other side is not who it should be.
    Tls,
}

impl ErrorClass {
    /// The word for it in transcripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Quota => "quota",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::ContextLength => "context_length",
            Self::TooLarge => "too_large",
            Self::Refusal => "refusal",
            Self::RateLimit => "rate_limit",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Empty => "empty",
            Self::Protocol => "protocol",
            Self::Cancelled => "cancelled",
            Self::Tls => "tls",
        }
    }

    /// Whether failures of this kind tend to pass.
    #[must_use]
    pub fn is_passing(self) -> bool {
        use ErrorClass::{Empty, Network, Overloaded, Protocol, RateLimit, Server, Timeout, Truncated};
        matches!(self, RateLimit | Overloaded | Server | Network | Timeout | Truncated | Empty | Protocol)
    }

    /// Whether the bytes failed on their way, as against a server that said so.
    #[must_use]
    pub fn is_transport(self) -> bool {
        matches!(self, Self::Truncated | Self::Timeout | Self::Network | Self::Protocol | Self::Tls)
    }
}

/// What a server says of the sizes when it refuses a prompt as too long, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TooLong {
    /// Of the prompt; some servers count the output limit in.
    pub prompt: Option<u64>,
    /// Of the model's window.
    pub window: u64,
}

/// A failed request.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Its kind.
    pub class: ErrorClass,
    /// The server's code or type for it.
    pub code: Option<String>,
    /// What the server (or the network) said, one line.
    pub message: String,
    /// The HTTP status, if the failure came with one of 300 or more.
    pub status: Option<u16>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The server's id of the request, where its body names one.
    pub request_id: Option<String>,
    /// By how much the prompt is too long, if the server says so.
    pub too_long: Option<Box<TooLong>>,
    /// False where trying again cannot help. Whether something was shown already is the caller's to know.
    pub retryable: bool,
}

impl ApiError {
    /// A failure of that kind, retryable as its kind is.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        let retryable = class.is_passing();
        Self {
            class,
            code: None,
            message: message.into(),
            status: None,
            retry_after: None,
            request_id: None,
            too_long: None,
            retryable,
        }
    }

    /// The same failure, for which trying again cannot help.
    #[must_use]
    pub fn for_good(self) -> Self {
        Self { retryable: false, ..self }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// The head of an HTTP response, as far as a reply is judged by it.
#[derive(Debug, Clone, Default)]
pub struct ReplyHead {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
}

impl ReplyHead {
    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The media type in lower case, without parameters; empty for none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl ApiError {
    /// The failure behind a status of 400 or more, or behind any other that is no success.
    #[must_use]
    pub fn from_response(head: &ReplyHead, body: &[u8]) -> Self {
        fault::http(head, body)
    }
}

/// What a failed request means for the run.
impl From<&ApiError> for Failure {
    fn from(error: &ApiError) -> Self {
        let exit = match error.class {
            ErrorClass::Auth | ErrorClass::Permission | ErrorClass::Quota => Exit::NoPermission,
            ErrorClass::NotFound | ErrorClass::BadRequest => Exit::Unavailable,
            ErrorClass::ContextLength | ErrorClass::TooLarge => Exit::Data,
            ErrorClass::Refusal => Exit::Declined,
            ErrorClass::Protocol | ErrorClass::Tls => Exit::Protocol,
            ErrorClass::RateLimit
            | ErrorClass::Overloaded
            | ErrorClass::Server
            | ErrorClass::Network
            | ErrorClass::Timeout
            | ErrorClass::Truncated
            | ErrorClass::Empty
            | ErrorClass::Cancelled => Exit::Temporary,
        };
        let status = match error.status {
            Some(status) if !error.message.contains("HTTP") => format!(" (HTTP {status})"),
            _ => String::new(),
        };
        let way_out = match error.class {
            // A proxy's refusal of a tunnel comes without a reply.
            ErrorClass::Auth if matches!(error.status, None | Some(407)) => ": check the user in the proxy's URL",
            ErrorClass::Auth => ": check the key",
            ErrorClass::NotFound => ": check -m and --base-url",
            ErrorClass::Tls => ": --ca-file names the certificates to trust",
            _ => "",
        };
        let wait = match error.retry_after {
            Some(wait) if exit == Exit::Temporary && wait.as_secs() > 60 => {
                format!("; the server asks to wait {} s", wait.as_secs())
            }
            _ => String::new(),
        };
        Failure::new(exit, format!("{}{status}{wait}{way_out}", error.message)).class(error.class.word())
    }
}
