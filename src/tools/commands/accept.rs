//! The words of a command as the model gives them, refused where they could mean something else to somebody. Nothing
//! is ever interpreted as a shell would. Pure.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::tools::{Refusal, arguments};

/// So many words are no command that anybody means.
const TOO_MANY: usize = 10_000;

/// What a shell would act upon.
const SYNTAX: &str = ";&|<>()$`!*?[]{}~#^";

const ADVICE: &str = "give argv as a list, one word per element; there is no shell";

/// A command as it stands in the arguments.
#[derive(Debug)]
pub(super) enum Given {
    List(Vec<String>),
    Line(String),
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let words = |items: Vec<Value>| -> Option<Vec<String>> { items.into_iter().map(word).collect() };
        match Value::deserialize(input)? {
            Value::String(line) if line.starts_with('[') => match serde_json::from_str(&line).ok().and_then(words) {
                Some(list) => Ok(Self::List(list)),
                None => Ok(Self::Line(line)),
            },
            Value::String(line) => Ok(Self::Line(line)),
            Value::Array(items) => {
                words(items).map(Self::List).ok_or_else(|| D::Error::custom("expected a list of strings"))
            }
            _ => Err(D::Error::custom("expected a list of strings")),
        }
    }
}

/// A number can mean only its own text.
fn word(value: Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The words of the command.
pub(super) fn argv(given: Given) -> Result<Vec<String>, Refusal> {
    let argv = match given {
        Given::List(words) => words,
        Given::Line(line) => split(&line)?,
    };
    let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
        return Err(arguments::bad("argv names no program"));
    };
    if program.contains('=') {
        return Err(arguments::bad(format!("`{program}` is no program; variables cannot be set for a command")));
    }
    if program.starts_with('-') {
        return Err(arguments::bad(format!("`{program}` is no program, but an option")));
    }
    if argv.len() >= TOO_MANY {
        return Err(arguments::bad(format!("argv has {} words, fewer than {TOO_MANY} are allowed", argv.len())));
    }
    if argv.iter().any(|word| word.contains('\0')) {
        return Err(arguments::bad("argv has a NUL in it"));
    }
    Ok(argv)
}

/// Splits a line in which no character means anything to a shell but quotes and blanks.
fn split(line: &str) -> Result<Vec<String>, Refusal> {
    let is_foreign = |c: char| c.is_control() && c != '\t' || (c.is_whitespace() && !c.is_ascii());
    if let Some(found) = line.chars().find(|c| SYNTAX.contains(*c) || is_foreign(*c)) {
        let shown = found.escape_debug();
        return Err(arguments::bad(format!("a command as one string may not hold `{shown}`; {ADVICE}")));
    }
    shell_words::split(line).map_err(|_| arguments::bad(format!("a quote is not closed; {ADVICE}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<String>, String> {
        let given = serde_json::from_str(json).map_err(|error| error.to_string())?;
        argv(given).map_err(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn a_list_is_taken_as_it_is_and_a_plain_line_is_split() {
        let cases: [(&str, &[&str]); 8] = [
            (r#"["echo", "a;b", "$(id)", "*"]"#, &["echo", "a;b", "$(id)", "*"]),
            (r#"["head", "-n", 5]"#, &["head", "-n", "5"]),
            (r#"["ls", ""]"#, &["ls", ""]),
            (r#""cargo test --lib""#, &["cargo", "test", "--lib"]),
            (r#""ls 'a b'	\"c d\"""#, &["ls", "a b", "c d"]),
            (r#""l's' x\\ y""#, &["ls", "x y"]),
            (r#""[\"ls\", \"-l\"]""#, &["ls", "-l"]),
            (r#"["ls", "naïve\nname"]"#, &["ls", "naïve\nname"]),
        ];
        for (json, words) in cases {
            let json = json.replace('\t', "\\t");
            let read = read(&json).unwrap();
            assert_eq!(read, words, "{json}");
        }
    }

    #[test]
    fn what_a_shell_would_act_upon_is_refused() {
        let lines = [
            "a; b",
            "a & b",
            "a | b",
            "a < b",
            "a > b",
            "(a)",
            "$x",
            "`a`",
            "!a",
            "*",
            "a?",
            "[a",
            "a]",
            "{a}",
            "~",
            "a #b",
            "^a",
            "a\nb",
            "a\\\nb",
            "a\rb",
            "a\u{a0}b",
            "a\u{2003}b",
            "a\u{1b}b",
            "a\u{0}b",
            "echo 'a;b'",
            "a 'b",
        ];
        for line in lines {
            let json = Value::String(line.to_owned()).to_string();
            assert!(read(&json).is_err_and(|why| why.contains("argv as a list")), "{line:?}");
        }
        for json in [r#""""#, "[]", r#"[""]"#, r#"["A=1", "b"]"#, r#""A=1 b""#, r#"["-x"]"#, r#"["a", "b\u0000"]"#] {
            assert!(read(json).is_err_and(|why| why.contains("bad_arguments")), "{json}");
        }
        for json in ["7", "null", r#"["a", null]"#, r#"[["a"]]"#, "{}"] {
            assert!(read(json).is_err(), "{json}");
        }
        let many = Value::from(vec!["ls"; TOO_MANY]).to_string();
        assert!(read(&many).is_err_and(|why| why.contains("10000 words")));
    }
}
