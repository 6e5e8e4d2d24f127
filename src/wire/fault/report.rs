//! Reads an error body, whatever its shape. Knows nothing of what the words in it mean.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::value_of;
use crate::base::text;

/// The longest message that is kept.
const MAX_MESSAGE: usize = 1000;

/// What an error body says.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The best word for the failure: the code, else the type.
    pub(super) code: Option<String>,
    /// All codes and types in it, in lower case.
    pub(super) words: Vec<String>,
    /// The server's id of the request.
    pub(super) request_id: Option<String>,
    /// A numeric code that is an HTTP status.
    pub(super) number: Option<u16>,
    /// The message, one line; empty if there is none.
    pub(super) message: String,
}

impl Report {
    /// Reads a body: JSON of any known shape, HTML, plain text.
    pub(super) fn of_body(body: &[u8]) -> Self {
        let mut report = Self::default();
        match value_of(body) {
            Some(value) => {
                report.read(&value);
                report.request_id = value.get("request_id").and_then(Value::as_str).map(str::to_owned);
                if report.message.is_empty() && !is_blank(&value) {
                    report.message = value.to_string();
                }
                report.message = one_line(&report.message, MAX_MESSAGE);
            }
            None => report.message = headline(&String::from_utf8_lossy(body)),
        }
        report
    }

    fn read(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                let reported = items.iter().find(|item| item.get("error").is_some());
                if let Some(item) = reported.or(items.first()) {
                    self.read(item);
                }
            }
            Value::Object(object) => match object.get("error") {
                Some(inner @ (Value::Object(_) | Value::Array(_))) => self.read(inner),
                Some(Value::String(message)) => {
                    message.clone_into(&mut self.message);
                    self.absorb(object);
                }
                _ => self.absorb(object),
            },
            Value::String(message) => message.clone_into(&mut self.message),
            _ => {}
        }
    }

    fn absorb(&mut self, object: &Map<String, Value>) {
        let nested = [object.get("details"), object.get("innererror")];
        let inner = nested.iter().flatten().flat_map(|value| [value.get("error_code"), value.get("code")]);
        let outer = ["code", "type", "status", "status_code"].map(|name| object.get(name));
        for word in outer.into_iter().chain(inner).flatten() {
            self.absorb_word(word);
        }
        if self.message.is_empty() {
            let names = ["message", "detail", "msg", "error_description", "title"];
            self.message = names
                .iter()
                .filter_map(|name| object.get(*name))
                .map(text_of)
                .find(|m| !m.is_empty())
                .unwrap_or_default();
        }
        // OpenRouter's own message is often just "Provider returned error".
        if let Some(raw) = object.get("metadata").and_then(|data| data.get("raw")).and_then(Value::as_str) {
            self.message = format!("{}: {}", self.message, one_line(raw, 300));
        }
    }

    fn absorb_word(&mut self, word: &Value) {
        let word = match word {
            Value::String(word) if !word.is_empty() && word != "error" => word.clone(),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        self.number = self.number.or(word.parse().ok().filter(|number| (400..600).contains(number)));
        self.words.push(word.to_ascii_lowercase());
        self.code.get_or_insert(word);
    }
}

/// The text in a message that may be a string, an object or a list of either.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).filter(|t| !t.is_empty()).collect::<Vec<_>>().join("; "),
        Value::Object(object) => {
            let names = ["message", "msg", "detail", "error"];
            let text = names.iter().filter_map(|name| object.get(*name)).map(text_of).find(|t| !t.is_empty());
            match (text, object.get("loc").and_then(Value::as_array)) {
                (Some(text), Some(place)) => {
                    format!("{}: {text}", place.iter().map(place_name).collect::<Vec<_>>().join("."))
                }
                (Some(text), None) => text,
                (None, _) => value.to_string(),
            }
        }
        _ => String::new(),
    }
}

fn place_name(part: &Value) -> String {
    part.as_str().map_or_else(|| part.to_string(), str::to_owned)
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The title of an HTML page, else the first line that is not blank.
pub(super) fn headline(body: &str) -> String {
    let body = body.trim_start_matches('\u{feff}').trim();
    if body.starts_with('<') {
        return title(body).map_or_else(|| "an HTML page without a title".to_owned(), |title| one_line(title, 200));
    }
    one_line(body.lines().next().unwrap_or_default(), 300)
}

fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    page.get(start..end).map(str::trim).filter(|title| !title.is_empty())
}

/// `text` with blanks for line ends and other control characters, at most `limit` bytes.
fn one_line(text: &str, limit: usize) -> String {
    let words = text::prefix(text, limit).split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether a JSON document of status 200 is an error report and not a reply.
pub(super) fn is_report(data: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        r#type: Option<&'a RawValue>,
        #[serde(borrow)]
        object: Option<&'a RawValue>,
    }
    if data.get().starts_with('[') {
        // Gemini's server reports its errors in a list.
        return super::json::elements(Some(data))
            .into_iter()
            .any(|element| !element.get().starts_with('[') && is_report(element));
    }
    let says_error = |field: Option<&RawValue>| field.is_some_and(|raw| raw.get() == "\"error\"");
    super::json::object::<Document<'_>>(data).is_some_and(|document| {
        let reported = document.error.is_some_and(|raw| !matches!(raw.get(), "false" | "\"\"" | "{}"));
        reported || says_error(document.r#type) || says_error(document.object)
    })
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn shapes() {
        let cases = [
            (r#"{"error":{"message":"m","type":"t","code":null}}"#, Some("t"), "m"),
            (r#"{"error":{"message":"m","type":"t","code":502}}"#, Some("502"), "m"),
            (r#"{"code":"c","error":"m"}"#, Some("c"), "m"),
            (r#"[{"error":{"code":400,"message":"m","status":"INVALID"}}]"#, Some("400"), "m"),
            (r#"{"object":"error","message":"m","type":"t","code":40}"#, Some("40"), "m"),
            (r#"{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"m"}]}}"#, None, "body.x: m"),
            (r#"{"detail":"m"}"#, None, "m"),
            (r#"{"message":"m\n n"}"#, None, "m n"),
            (r#"{"type":"error","code":"c","message":"m"}"#, Some("c"), "m"),
            ("<html><head><title>\n T &amp; x</title>", None, "T &amp; x"),
            ("404 page not found\n", None, "404 page not found"),
            ("", None, ""),
            ("{}", None, ""),
        ];
        for (body, code, message) in cases {
            let report = Report::of_body(body.as_bytes());
            assert_eq!((report.code.as_deref(), report.message.as_str()), (code, message), "{body}");
        }
    }
}
