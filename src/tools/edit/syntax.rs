//! JSON and TOML that could be read before a change can be read after it. Other languages are not judged: what looks
//! wrong to one parser is right to another. Pure.

use std::path::Path;

use serde::de::IgnoredAny;
use toml::de::DeTable;

use crate::base::text;
use crate::tools::Refusal;
use crate::tools::files::Original;
use crate::tools::paths;

/// Fails if the new content cannot be read, but the old one could.
pub(in crate::tools) fn check(original: &Original, new: &[u8]) -> Result<(), Refusal> {
    let Some((language, parse)) = parser(&original.path) else { return Ok(()) };
    let Err(fault) = parse(new) else { return Ok(()) };
    if parse(&original.content).is_err() {
        return Ok(());
    }
    let (path, fault) = (paths::shown(&original.path), text::prefix(&fault, 300));
    let message = format!("{path} would be no {language} any more: {fault}; nothing was changed");
    Err(Refusal::new("would_not_parse", message))
}

type Parse = fn(&[u8]) -> Result<(), String>;

fn parser(path: &Path) -> Option<(&'static str, Parse)> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("json") => Some(("JSON", json)),
        Some("toml") => Some(("TOML", toml)),
        _ if path.file_name().is_some_and(|name| name == "Cargo.lock") => Some(("TOML", toml)),
        _ => None,
    }
}

fn json(content: &[u8]) -> Result<(), String> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    serde_json::from_slice::<IgnoredAny>(content).map(drop).map_err(|error| error.to_string())
}

fn toml(content: &[u8]) -> Result<(), String> {
    let content = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    DeTable::parse(content).map(drop).map_err(|error| {
        let before = text::prefix(content, error.span().map_or(0, |span| span.start));
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{} at line {line} column {column}", text::line(error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_with_its_place() {
        assert_eq!(json(b"{\"a\": 1,\n}"), Err("key must be a string at line 2 column 1".to_owned()));
        assert_eq!(json("\u{feff}[1]".as_bytes()), Ok(()));
        let fault = toml(b"a = 1\nb = \n").unwrap_err();
        assert!(fault.contains("at line 2 column "), "{fault}");
        assert!(toml(b"a = 1\na = 2\n").unwrap_err().contains("at line 2 column 1"));
        assert_eq!(toml(b"a = 1 # x\r\n[b]\r\n"), Ok(()));
    }

    #[test]
    fn only_json_and_toml_are_judged() {
        for (path, language) in [("a.json", Some("JSON")), ("A.TOML", Some("TOML")), ("x/Cargo.lock", Some("TOML"))] {
            assert_eq!(parser(Path::new(path)).map(|(language, _)| language), language);
        }
        for path in ["a.mjs", "a.ts", "a.jsonl", "a.jsonc", "json", "yarn.lock", "a.yaml"] {
            assert!(parser(Path::new(path)).is_none());
        }
    }
}
