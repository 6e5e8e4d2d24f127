//! Fenced code blocks, as `CommonMark` defines them.

pub(super) const INSTRUCTION: &str = "Answer with exactly one fenced code block and nothing else: no sentence before or \
     after it. If its content holds a fence itself, put a longer fence around it.";

/// The fenced blocks of a text.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The content of each, without its fences.
    pub blocks: Vec<String>,
    /// There is text outside of them.
    pub beside: bool,
}

/// The line that opens a block.
struct Fence {
    mark: u8,
    length: usize,
    indent: usize,
    /// Where the content of the list item begins that it stands in.
    from: usize,
}

/// The first code block.
pub(super) fn first(text: &str) -> Result<String, String> {
    let first = blocks(text).blocks.into_iter().next().ok_or("there is no fenced code block in it")?;
    if first.trim().is_empty() { Err("the code block is empty".to_owned()) } else { Ok(first) }
}

/// All blocks that are closed. One that is not may have been cut, so it is text.
pub(super) fn blocks(text: &str) -> Blocks {
    let mut found = Blocks::default();
    let mut open: Option<(Fence, String)> = None;
    let mut items = Items::default();
    for line in text.split_inclusive('\n') {
        match open.take() {
            Some((fence, content)) if fence.is_closed_by(line) => found.blocks.push(content),
            Some((fence, mut content)) => {
                let blanks = line.bytes().take(fence.indent).take_while(|byte| *byte == b' ').count();
                content.push_str(&line[blanks..]);
                open = Some((fence, content));
            }
            None => match Fence::open(line, items.enter(line)) {
                Some(fence) => open = Some((fence, String::new())),
                None => found.beside |= !line.trim().is_empty(),
            },
        }
    }
    found.beside |= open.is_some();
    found
}

/// The list items that a line stands in, by the columns at which their contents begin.
#[derive(Debug, Default)]
struct Items(Vec<usize>);

impl Items {
    /// Takes a line outside of a block. Returns where its content begins: behind the marks of the items it opens.
    fn enter(&mut self, line: &str) -> usize {
        let blanks = |from: usize| line[from..].bytes().take_while(|byte| *byte == b' ').count();
        if line.trim().is_empty() {
            return 0;
        }
        let mut at = blanks(0);
        self.0.retain(|column| *column <= at);
        while let Some(mark) = item_mark(&line[at..]).filter(|_| at < self.innermost() + 4) {
            let space = blanks(at + mark);
            // Further blanks would be code of the item.
            at += mark + if space > 4 { 1 } else { space };
            self.0.push(at);
        }
        at.min(self.innermost())
    }

    fn innermost(&self) -> usize {
        self.0.last().copied().unwrap_or(0)
    }
}

/// The length of the mark that a list item begins with, if it is followed by a blank: `-`, `*`, `+`, `1.` or `1)`.
fn item_mark(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mark = match text.as_bytes().get(digits)? {
        b'-' | b'*' | b'+' if digits == 0 => 1,
        b'.' | b')' if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    text[mark..].starts_with(' ').then_some(mark)
}

impl Fence {
    /// The fence that a line opens whose content begins at column `from`.
    fn open(line: &str, from: usize) -> Option<Self> {
        let rest = line[from..].trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let mark = *rest.as_bytes().first().filter(|byte| matches!(byte, b'`' | b'~'))?;
        let length = rest.bytes().take_while(|byte| *byte == mark).count();
        let is_code_span = mark == b'`' && rest[length..].contains('`');
        (indent < from + 4 && length >= 3 && !is_code_span).then_some(Self { mark, length, indent, from })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim_start_matches(' ');
        let length = rest.bytes().take_while(|byte| *byte == self.mark).count();
        line.len() - rest.len() < self.from + 4 && length >= self.length && rest[length..].trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_is_taken_byte_for_byte_without_its_fences() {
        for (text, wanted) in [
            ("```\na\n```\n", "a\n"),
            ("Here:\n```sh\na\n\n  b\t\n```\nand\n```\nc\n```", "a\n\n  b\t\n"),
            ("~~~\na\n```\nb\n~~~", "a\n```\nb\n"),
            ("````md\n```\ninner\n```\n````", "```\ninner\n```\n"),
            ("  ```\n  a\n    b\n c\n  ```", "a\n  b\nc\n"),
            ("```\r\na\r\n```\r\n", "a\r\n"),
            ("```\na\n``` \n", "a\n"),
            ("```\na\n`````\n", "a\n"),
            ("10. Run:\n\n    ```sh\n    first\n    ```\n\n11. Then:\n\n```sh\nsecond\n```\n", "first\n"),
            ("- ```sh\n  a\n    b\n  ```\n", "a\n  b\n"),
            ("1. One\n   - Two\n\n     ```\n     a\n     ```\n", "a\n"),
            ("1. - ~~~\n     a\n     ~~~\n", "a\n"),
            ("- One\n\nText\n\n    ```\n    no\n    ```\n```\na\n```\n", "a\n"),
            ("**bold** - no\n```\na\n```\n", "a\n"),
        ] {
            assert_eq!(first(text).as_deref(), Ok(wanted), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_block_is_not_taken_for_one() {
        for text in
            ["", "a", "```a```", "``\na\n``", "    ```\n    a\n    ```", "```\na\n", "```\n```", "```\n \n```\n"]
        {
            assert!(first(text).is_err(), "{text:?}");
        }
    }
}
