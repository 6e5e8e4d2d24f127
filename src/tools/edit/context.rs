//! What the model is told when a search text is not there once: the places where it is, or what is like it. Pure.

use crate::base::text;
use crate::tools::distance;

/// Places that are named.
const MAX_PLACES: usize = 10;

/// Lines that are shown, and how much of each.
const MAX_LINES: usize = 3;
const SHOWN: usize = 160;

/// Names the lines of these places.
pub(super) fn lines(text: &[u8], places: &[usize]) -> String {
    let number = |place: &usize| 1 + memchr::memchr_iter(b'\n', &text[..*place]).count();
    let mut numbers: Vec<usize> = places.iter().take(MAX_PLACES).map(number).collect();
    numbers.dedup();
    let more = if places.len() > MAX_PLACES { ", …" } else { "" };
    let one = if numbers.len() == 1 { "line" } else { "lines" };
    format!("in {one} {}{more}", numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// Shows the lines that are most like the first line of the search.
pub(super) fn near(text: &[u8], search: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let Some(wanted) = search.lines().map(squeezed).find(|line| !line.is_empty()) else {
        return "give a search with text in it".to_owned();
    };
    let alike = |line: &str| squeezed(line) == wanted;
    let mut found: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| alike(line)).take(MAX_LINES).collect();
    let same = !found.is_empty();
    if !same {
        let names = distance::nearest(&wanted, text.lines().map(squeezed), MAX_LINES);
        let is_near = |line: &str| names.contains(&squeezed(line));
        found = text.lines().enumerate().filter(|(_, line)| is_near(line)).take(MAX_LINES).collect();
    }
    let shown: Vec<String> =
        found.iter().map(|(index, line)| format!("{:6}\t{}", index + 1, text::prefix(line, SHOWN))).collect();
    match shown.as_slice() {
        [] => "no line is like its first one; read the file again".to_owned(),
        lines if same => {
            format!("blanks, or the lines after the first, differ; it may begin here:\n{}", lines.join("\n"))
        }
        lines => format!("lines like its first one:\n{}", lines.join("\n")),
    }
}

/// The line with its blanks reduced, so that indentation makes no difference.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_there_is_shown_with_its_line() {
        let text = b"fn main() {\n    let value = 1;\n}\n";
        assert!(near(text, "let  value = 1;\nx").ends_with("begin here:\n     2\t    let value = 1;"));
        assert!(near(text, "let values = 1;").ends_with("first one:\n     2\t    let value = 1;"));
        assert_eq!(near(text, "something else altogether"), "no line is like its first one; read the file again");
        assert_eq!(lines(b"a\na\n", &[0, 2]), "in lines 1, 2");
        assert_eq!(lines(b"aa\n", &[0, 1]), "in line 1");
    }
}
