//! Which commands a `run:` grant or denial is about: a pattern of whole words. No text of a shell is ever judged
//! here, and what a permitted program does is the sandbox's business. Pure.

use std::fmt;

/// The argument vectors that one `run:` pattern takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    program: String,
    arguments: Vec<Token>,
    /// Any further arguments may follow.
    is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This very word.
    Word(String),
    /// One argument that is no option.
    Any,
}

/// What would join commands or redirect them, if there were a shell.
const OPERATORS: [&str; 9] = ["&&", "||", ";", "|", "&", ">", ">>", "<", "2>&1"];

impl Pattern {
    /// Reads what stands after `run:`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = shell_words::split(text).map_err(|_| "a quote is not closed".to_owned())?;
        let [program, words @ ..] = words.as_slice() else {
            return Err("name a program after the ':', as in 'run:cargo test **'".to_owned());
        };
        check_program(program)?;
        if let Some(operator) = words.iter().find(|word| OPERATORS.contains(&word.as_str()) || word.ends_with(';')) {
            return Err(format!("'{operator}' is for a shell: grant each program by itself, or 'shell'"));
        }
        let (is_open, words) = match words {
            [first @ .., last] if last == "**" => (true, first),
            all => (false, all),
        };
        let arguments = words.iter().map(|word| token(word, program)).collect::<Result<_, _>>()?;
        Ok(Self { program: program.clone(), arguments, is_open })
    }

    /// The program, as it must be called.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Whether these words are such a command.
    pub(super) fn matches(&self, argv: &[String]) -> bool {
        let Some((program, words)) = argv.split_first() else { return false };
        let fits = if self.is_open { words.len() >= self.arguments.len() } else { words.len() == self.arguments.len() };
        let is_word = |(token, word): (&Token, &String)| match token {
            Token::Word(wanted) => word == wanted,
            Token::Any => !word.starts_with('-'),
        };
        *program == self.program && fits && self.arguments.iter().zip(words).all(is_word)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shell_words::quote(&self.program))?;
        for token in &self.arguments {
            match token {
                Token::Word(word) => write!(f, " {}", shell_words::quote(word))?,
                Token::Any => f.write_str(" *")?,
            }
        }
        f.write_str(if self.is_open { " **" } else { "" })
    }
}

fn check_program(program: &str) -> Result<(), String> {
    let why = if program.is_empty() || program.contains('*') {
        "the program is named in full"
    } else if program.starts_with('-') || program.contains('=') {
        "this is no name of a program"
    } else if program.starts_with("~/") {
        "only a shell knows what '~' is, and not here: write the whole path"
    } else if program.split('/').any(|part| part == "..") {
        "the program's path has no '..': write the whole path"
    } else {
        return Ok(());
    };
    Err(format!("'{program}': {why}"))
}

fn token(word: &str, program: &str) -> Result<Token, String> {
    match word {
        "*" => Ok(Token::Any),
        "**" => Err("'**' stands only at the end, for any further arguments".to_owned()),
        glued if glued.contains(['*', '?']) => {
            let program = shell_words::quote(program);
            Err(format!(
                "'{glued}' is no pattern: a lone '*' is one argument, '**' at the end any further ones: 'run:{program} **'"
            ))
        }
        word => Ok(Token::Word(word.to_owned())),
    }
}

/// The grant that would let this command run, and such as are like it: the program with what looks like its
/// subcommand.
pub(super) fn grant_for(argv: &[String]) -> String {
    let is_subcommand =
        |word: &&String| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c));
    let subcommand = argv.get(1).filter(|word| !word.starts_with('-')).filter(is_subcommand);
    let mut grant = format!("run:{}", shell_words::quote(argv.first().map_or("", String::as_str)));
    if let Some(word) = subcommand {
        grant.push(' ');
        grant.push_str(word);
    }
    grant.push_str(" **");
    grant
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn a_pattern_is_matched_word_by_word() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            ("ls", &["ls"], &["ls|-l", "LS", "./ls", "/bin/ls", "ｌｓ", "l's'", ""]),
            ("git status", &["git|status"], &["git", "git|status|-s", "git|-c|x=y|status", "git|status|"]),
            ("cargo test **", &["cargo|test", "cargo|test|--lib|a b"], &["cargo|build", "cargo|testify", "cargo"]),
            ("cat *", &["cat|a", "cat|"], &["cat", "cat|-n", "cat|a|b"]),
            ("tar * -C x **", &["tar|a|-C|x", "tar|a|-C|x|y"], &["tar|-C|-C|x", "tar|a|-C|y"]),
            ("'my prog' 'a b'", &["my prog|a b"], &["my|prog|a|b"]),
            ("./run.sh **", &["./run.sh|x"], &["run.sh|x", "././run.sh|x", "./run.sh/|x"]),
        ];
        for (pattern, fits, others) in cases {
            let read = Pattern::parse(pattern).unwrap();
            assert!(fits.iter().all(|argv| read.matches(&words(argv))), "{pattern}");
            for other in others {
                assert!(!read.matches(&words(other)), "{pattern}: {other}");
            }
            assert_eq!(Pattern::parse(&read.to_string()).as_ref(), Ok(&read));
        }
        assert!(!Pattern::parse("ls").unwrap().matches(&[]));
    }

    #[test]
    fn what_is_no_pattern_says_what_to_write() {
        let cases = [
            ("", "name a program"),
            ("cargo test*", "'run:cargo **'"),
            ("cargo ** test", "only at the end"),
            ("* test", "named in full"),
            ("** ", "named in full"),
            ("-x", "no name of a program"),
            ("A=1 ls", "no name of a program"),
            ("make && make test", "grant each program"),
            ("cd x; ls", "grant each program"),
            ("a 'b", "a quote"),
            ("../x", "whole path"),
            ("~/x", "whole path"),
            ("''", "named in full"),
        ];
        for (pattern, why) in cases {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }

    #[test]
    fn the_grant_for_a_command_permits_it() {
        let cases = [
            ("cargo|test|--lib", "run:cargo test **"),
            ("cat|README.md", "run:cat **"),
            ("ls", "run:ls **"),
            ("my prog|-x", "run:'my prog' **"),
        ];
        for (argv, grant) in cases {
            assert_eq!(grant_for(&words(argv)), grant);
            assert!(Pattern::parse(&grant["run:".len()..]).unwrap().matches(&words(argv)));
        }
    }
}
