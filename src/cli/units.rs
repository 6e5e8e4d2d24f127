//! Durations, sizes, counts and paths as people type them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// A path, of any bytes; an empty one is no file, which is found out where it is opened.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// `90`, `90s`, `5m`, `1h`, `250ms`.
///
/// # Errors
/// It is none of these.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a duration is 90, 90s, 5m or 1h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "a duration is 90, 90s, 5m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| "the duration is too long".to_owned())
}

/// A size in bytes: `4096`, `200k`, `64M`, `1G` (powers of 1024).
///
/// # Errors
/// It is none of these.
pub fn size(text: &str) -> Result<u64, String> {
    scaled(text, 1024).ok_or_else(|| "a size is 4096, 200k, 64M or 1G".to_owned())
}

/// A count: `4096`, `200k`, `1M` (powers of 1000).
///
/// # Errors
/// It is none of these.
pub fn count(text: &str) -> Result<u64, String> {
    scaled(text, 1000).ok_or_else(|| "a number is 4096, 200k or 1M".to_owned())
}

fn scaled(text: &str, base: u64) -> Option<u64> {
    let (number, unit) = split(text);
    let power = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(base.checked_pow(power)?)
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood_and_nothing_else() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("0.5s"), Ok(Duration::from_millis(500)));
        assert!(duration("5x").is_err() && duration("").is_err() && duration("-1").is_err());
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(count("200k"), Ok(200_000));
        assert!(size("1.5M").is_err() && count("99999999999999999999").is_err());
    }
}
