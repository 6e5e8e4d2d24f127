//! Which of some names was probably meant. Pure.

use crate::base::text::distance;

/// Longer names are not compared: the work grows with the square.
const LONGEST: usize = 100;

/// Names compared at most.
const MOST: usize = 10_000;

/// The up to `count` names nearest to `wanted`, the nearest first; names that are not alike are left out.
pub(super) fn nearest(wanted: &str, names: impl Iterator<Item = String>, count: usize) -> Vec<String> {
    let folded = wanted.to_lowercase();
    if folded.len() > LONGEST {
        return Vec::new();
    }
    let limit = (folded.chars().count() / 3).max(2);
    let mut scored: Vec<(usize, String)> = names
        .filter(|name| name.len() <= LONGEST)
        .take(MOST)
        .filter_map(|name| {
            let other = name.to_lowercase();
            let distance = if other.contains(&folded) { 1 } else { distance(&folded, &other) };
            (distance <= limit).then_some((distance, name))
        })
        .collect();
    scored.sort();
    scored.into_iter().take(count).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_what_was_meant() {
        let names = ["main.rs", "Main.rs", "man.rs", "mains", "lib.rs", "notes.md"];
        let near = |wanted| nearest(wanted, names.iter().map(ToString::to_string), 3);
        assert_eq!(near("mian.rs"), ["man.rs", "Main.rs", "main.rs"]);
        assert_eq!(near("MAIN.RS"), ["Main.rs", "main.rs", "man.rs"]);
        assert_eq!(near("zzzzzz"), [""; 0]);
    }
}
