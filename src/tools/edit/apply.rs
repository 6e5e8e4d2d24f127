//! Edits of a text, as bytes: what is not replaced stays as it is, whatever it is. Pure.

use memchr::memmem;
use serde::Deserialize;

use super::numbers;
use super::style::{Style, with_crlf, with_lf};
use super::{arguments, context};
use crate::tools::Refusal;

/// One replacement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pub(super) search: String,
    pub(super) replace: String,
    #[serde(default, deserialize_with = "arguments::truth")]
    pub(super) all: bool,
}

/// The content after all edits, each made on what the one before has left.
pub(super) fn all(content: &[u8], edits: &[Edit], style: &Style) -> Result<Vec<u8>, Refusal> {
    let mut text = content.to_vec();
    for (index, edit) in edits.iter().enumerate() {
        let name = if edits.len() == 1 { String::new() } else { format!("edit {}: ", index + 1) };
        text = one(&text, edit, style).map_err(|fault| fault.refusal(&name, &text, edit))?;
    }
    Ok(text)
}

/// Why an edit cannot be made.
enum Fault {
    EmptySearch,
    NoChange,
    NotFound,
    /// Where it was found.
    Many(Vec<usize>),
}

/// A form in which the search and its replacement may be meant.
struct Form {
    search: String,
    replace: String,
}

fn one(text: &[u8], edit: &Edit, style: &Style) -> Result<Vec<u8>, Fault> {
    if edit.search.is_empty() {
        return Err(Fault::EmptySearch);
    }
    if edit.search == edit.replace {
        return Err(Fault::NoChange);
    }
    let Some((form, places)) = forms(edit, text).find_map(|form| {
        let places = places(text, form.search.as_bytes());
        (!places.is_empty()).then_some((form, places))
    }) else {
        return Err(Fault::NotFound);
    };
    let length = form.search.len();
    let places = match places.as_slice() {
        _ if edit.all => apart(places, length),
        [_] => places,
        _ => return Err(Fault::Many(places)),
    };
    let ends_lines_with_crlf = if form.search.contains('\n') { form.search.contains("\r\n") } else { style.is_crlf() };
    let replace = if ends_lines_with_crlf { with_crlf(&form.replace) } else { with_lf(&form.replace) };
    let mut result = Vec::with_capacity(text.len() + replace.len());
    let mut done = 0;
    for place in places {
        result.extend_from_slice(&text[done..place]);
        result.extend_from_slice(replace.as_bytes());
        done = place + length;
    }
    result.extend_from_slice(&text[done..]);
    Ok(result)
}

/// The search as it was written, then with the other line ends, then without the line numbers that were pasted along,
/// then without a line end that the file's last line does not have.
fn forms<'a>(edit: &'a Edit, text: &'a [u8]) -> impl Iterator<Item = Form> + 'a {
    let stripped = numbers::strip(&edit.search, &edit.replace);
    let meant = std::iter::once((edit.search.clone(), edit.replace.clone())).chain(stripped);
    let with_ends = meant.flat_map(|(search, replace)| {
        let [lf, crlf] = [with_lf(&search), with_crlf(&search)];
        [search, lf, crlf].map(|search| Form { search, replace: replace.clone() })
    });
    with_ends.chain(at_the_end(edit, text))
}

fn at_the_end(edit: &Edit, text: &[u8]) -> Option<Form> {
    let (search, replace) =
        numbers::strip(&edit.search, &edit.replace).unwrap_or_else(|| (edit.search.clone(), edit.replace.clone()));
    let search = search.strip_suffix('\n').filter(|search| !search.is_empty())?.to_owned();
    let search = if text.ends_with(with_crlf(&search).as_bytes()) { with_crlf(&search) } else { with_lf(&search) };
    let replace = replace.strip_suffix('\n').unwrap_or(&replace).to_owned();
    text.ends_with(search.as_bytes()).then_some(Form { search, replace })
}

/// All places, those that overlap too: they make it unclear which one is meant.
fn places(text: &[u8], search: &[u8]) -> Vec<usize> {
    let finder = memmem::Finder::new(search);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| finder.find(rest)) {
        places.push(from + at);
        from += at + 1;
    }
    places
}

fn apart(places: Vec<usize>, length: usize) -> Vec<usize> {
    let mut end = 0;
    places
        .into_iter()
        .filter(|place| {
            let is_free = *place >= end;
            if is_free {
                end = place + length;
            }
            is_free
        })
        .collect()
}

impl Fault {
    fn refusal(self, name: &str, text: &[u8], edit: &Edit) -> Refusal {
        let nothing = "nothing was changed";
        match self {
            Self::EmptySearch => {
                arguments::bad(format!("{name}`search` is empty; write_file writes a whole file; {nothing}"))
            }
            Self::NoChange => Refusal::new("no_change", format!("{name}search and replace are the same; {nothing}")),
            Self::NotFound => {
                let near = context::near(text, &edit.search);
                Refusal::new("no_match", format!("{name}the search text occurs 0 times; {nothing}; {near}"))
            }
            Self::Many(places) => {
                let (count, lines) = (places.len(), context::lines(text, &places));
                let hint = "add the lines around the one that is meant, or set all to true";
                let message = format!("{name}the search text occurs {count} times, {lines}; {nothing}; {hint}");
                Refusal::new("not_unique", message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(search: &str, replace: &str) -> Edit {
        Edit { search: search.to_owned(), replace: replace.to_owned(), all: false }
    }

    #[track_caller]
    fn gives(text: &str, edits: &[Edit], wanted: &str) {
        let style = Style::of(text.as_bytes());
        let result = all(text.as_bytes(), edits, &style).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(result.as_deref(), Ok(wanted));
    }

    #[track_caller]
    fn fails(text: &str, edits: &[Edit], wanted: &str) {
        match all(text.as_bytes(), edits, &Style::of(text.as_bytes())) {
            Err(Refusal::Failed { code, message }) => {
                let message = format!("{code}: {message}");
                assert!(message.starts_with(wanted), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn edits_are_made_in_order_each_on_what_the_last_has_left() {
        gives("a\nb\n", &[edit("a", "x"), edit("x\nb", "y")], "y\n");
        fails("a\nb\n", &[edit("a", "x"), edit("a", "y")], "no_match: edit 2: the search text occurs 0 times");
        gives("a a\na\n", &[Edit { all: true, ..edit("a", "bb") }], "bb bb\nbb\n");
        gives("aaaa", &[Edit { all: true, ..edit("aa", "b") }], "bb");
    }

    #[test]
    fn what_is_not_there_once_is_refused_with_the_count_and_the_places() {
        fails("x\na\nb a\n", &[edit("a", "c")], "not_unique: the search text occurs 2 times, in lines 2, 3; nothing");
        fails("aaa", &[edit("aa", "c")], "not_unique: the search text occurs 2 times");
        fails("a", &[edit("", "c")], "bad_arguments: `search` is empty");
        fails("a", &[edit("a", "a")], "no_change: ");
        fails(
            "let x = 1;\n",
            &[edit("let  x = 1;", "y")],
            "no_match: the search text occurs 0 times; nothing was changed; ",
        );
    }

    #[test]
    fn line_ends_are_those_of_the_file() {
        gives("a\r\nb\r\nc\r\n", &[edit("a\nb", "x\ny\nz")], "x\r\ny\r\nz\r\nc\r\n");
        gives("a\r\nb\r\n", &[edit("b", "x\ny")], "a\r\nx\r\ny\r\n");
        gives("a\r\nb\r\n", &[edit("a\r\nb", "x\r\ny")], "x\r\ny\r\n");
        gives("a\nb\n", &[edit("a\r\nb", "x\r\ny")], "x\ny\n");
        gives("a\nb\r\nc\n", &[edit("b\n", "x\n")], "a\nx\r\nc\n");
    }

    #[test]
    fn line_numbers_that_were_pasted_along_are_taken_off() {
        gives("a\nb\nc\n", &[edit("     2\tb\n     3\tc", "     2\tx\n     3\ty")], "a\nx\ny\n");
        gives("a\nb\nc\n", &[edit("2|b\n3|c\n", "2|x\nnew\n")], "a\nx\nnew\n");
        gives("1\tb\n", &[edit("1\tb", "1\tc")], "1\tc\n");
        gives("1\tb\n", &[edit("     1\t1\tb", "     1\t1\tc")], "1\tc\n");
        gives("1\tb\n", &[edit("     1\t1\tb", "1\tc")], "1\tc\n");
        fails("a\nb\n", &[edit("7\ta\n3\tb", "x")], "no_match");
    }

    #[test]
    fn a_last_line_without_an_end_is_found_with_one() {
        gives("a\nb", &[edit("b\n", "c\n")], "a\nc");
        gives("a\r\nb", &[edit("a\nb\n", "c\nd\n")], "c\r\nd");
        fails("a\nb\nc", &[edit("\n", "")], "not_unique");
    }

    #[test]
    fn bytes_that_are_no_text_stay_as_they_are() {
        let style = Style::of(b"\xff a \xfe\n");
        assert_eq!(all(b"\xff a \xfe\n", &[edit("a", "b")], &style).unwrap(), b"\xff b \xfe\n");
    }
}
