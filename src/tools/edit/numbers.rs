//! Line numbers that a model has copied out of a result along with the lines. Pure.

/// A kind of line number before a line.
#[derive(Clone, Copy)]
enum Kind {
    /// As `read_files` shows it, to the byte.
    Exact,
    /// Digits and this character, with or without blanks before them.
    Loose(char),
}

/// Search and replacement without their line numbers, if every line of the search has one and they count up by one.
/// Of the replacement those lines lose theirs that have one of the same kind.
pub(super) fn strip(search: &str, replace: &str) -> Option<(String, String)> {
    let kind = [Kind::Exact, Kind::Loose('\t'), Kind::Loose('|')].into_iter().find(|kind| counts_up(search, *kind))?;
    let bare = |text: &str| -> String {
        text.split_inclusive('\n').map(|line| split(line, kind).map_or(line, |(_, rest)| rest)).collect()
    };
    Some((bare(search), bare(replace)))
}

fn counts_up(text: &str, kind: Kind) -> bool {
    let numbers: Option<Vec<u64>> =
        text.split_inclusive('\n').map(|line| split(line, kind).map(|(number, _)| number)).collect();
    numbers.is_some_and(|numbers| {
        !numbers.is_empty() && numbers.windows(2).all(|pair| pair.first().map(|n| n + 1) == pair.last().copied())
    })
}

/// The number before a line, and the line.
fn split(line: &str, kind: Kind) -> Option<(u64, &str)> {
    let mark = if let Kind::Loose(mark) = kind { mark } else { '\t' };
    let (before, rest) = line.split_once(mark)?;
    let digits = before.trim_start_matches(' ');
    if digits.is_empty() || digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    match kind {
        Kind::Exact if before != format!("{number:6}") => None,
        _ => Some((number, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_counts_up_is_a_line_number() {
        assert_eq!(strip("     1\ta\n", "x"), Some(("a\n".to_owned(), "x".to_owned())));
        assert_eq!(strip(" 9|a\n10|\n", "9|b"), Some(("a\n\n".to_owned(), "b".to_owned())));
        for text in ["a\n", "", "1\ta\n3\tb\n", "1\ta\nb\n", "1 a\n", "-1\ta\n", "9999999999999\ta", "\ta"] {
            assert_eq!(strip(text, "x"), None, "{text}");
        }
    }

    #[test]
    fn a_replacement_keeps_numbers_of_another_kind() {
        assert_eq!(strip("     1\t5\ta", "5\tb").map(|(_, replace)| replace).as_deref(), Some("5\tb"));
    }
}
