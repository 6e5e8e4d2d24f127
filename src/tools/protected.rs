//! Which names make a file one that programs obey: hooks, shell start-up files, the settings of editors and of other
//! agents, pipelines. What is written there runs later, with other rights than this run has. Pure, and about names
//! alone.

use std::path::Path;

/// Protected wherever they stand in a path, in lower case.
const NAMES: [&str; 54] = [
    ".git",
    ".gitmodules",
    ".gitattributes",
    ".gitconfig",
    ".githooks",
    ".husky",
    ".lefthook.yml",
    "lefthook.yml",
    ".pre-commit-config.yaml",
    ".pre-commit-config.yml",
    ".bashrc",
    ".bash_aliases",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".cshrc",
    ".exrc",
    ".gdbinit",
    ".inputrc",
    ".kshrc",
    ".login",
    ".nvimrc",
    ".profile",
    ".tcshrc",
    ".tmux.conf",
    ".vimrc",
    ".zlogin",
    ".zlogout",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    ".direnvrc",
    ".npmrc",
    ".ssh",
    ".mcp.json",
    ".vscode",
    ".idea",
    ".devcontainer",
    ".cursor",
    ".cursorrules",
    ".windsurf",
    ".windsurfrules",
    ".clinerules",
    ".claude",
    ".codex",
    ".gemini",
    "agents.md",
    "claude.md",
    "gemini.md",
    ".github",
    ".gitlab-ci.yml",
    ".circleci",
    ".travis.yml",
    "jenkinsfile",
];

/// Beginnings of protected names: `.env` and `.envrc`, `.yarnrc.yml`, what belongs to this program.
const BEGINNINGS: [&str; 4] = [".env", ".yarnrc", ".flux", ".aider"];

/// Protected files by the end of their path: the directory, and how the name begins.
const FILES: [(&str, &str); 8] = [
    (".cargo", "config"),
    (".config", "flux"),
    (".config", "git"),
    (".config", "fish"),
    (".config", "autostart"),
    (".config", "environment.d"),
    (".config", "systemd"),
    (".local", "bin"),
];

/// What DOS makes of `.git`.
const SHORT_GIT: &str = "git~1";

/// A quick look at a name: false means that it is not protected by itself.
pub(super) fn may_be(name: &[u8]) -> bool {
    let is_first = |first: &u8| !first.is_ascii() || b".acgjl".contains(&first.to_ascii_lowercase());
    name.first().is_some_and(is_first) || !name.is_ascii()
}

/// The protected names that a path holds, each in its plain form. The same function reads a grant's pattern: it
/// unlocks a path only if it names all of that path's protected names.
pub(super) fn names(path: &Path) -> Vec<&'static str> {
    let parts: Vec<String> = path.iter().map(|name| folded(&name.to_string_lossy())).collect();
    let single = parts.iter().filter_map(|part| name(part));
    let double = parts.windows(2).filter_map(|pair| match pair {
        [directory, file] => FILES.iter().find(|(d, f)| d == directory && file.starts_with(f)).map(|(d, _)| *d),
        _ => None,
    });
    single.chain(double).collect()
}

fn name(part: &str) -> Option<&'static str> {
    if part == SHORT_GIT {
        return Some(".git");
    }
    let is_begun = |beginning: &&&str| part.starts_with(**beginning);
    NAMES.iter().find(|name| **name == part).or_else(|| BEGINNINGS.iter().find(is_begun)).copied()
}

/// The name as a file system that folds names would take it: without what it ignores, in one case, without the dots
/// and blanks at the end. No composed character falls apart into ASCII but the Kelvin sign, which lower case covers;
/// upper case first covers the long s.
fn folded(name: &str) -> String {
    let visible: String = name.chars().filter(|c| !is_ignorable(*c)).collect();
    visible.to_uppercase().to_lowercase().trim_end_matches(['.', ' ']).to_owned()
}

/// Unicode's default ignorable characters.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &str) -> Vec<&'static str> {
        let held = names(Path::new(path));
        let is_told = Path::new(path).iter().any(|part| may_be(part.as_encoded_bytes()));
        assert!(held.is_empty() || is_told, "{path}");
        held
    }

    #[test]
    fn what_programs_obey_is_protected_in_any_case_place_and_disguise() {
        let cases = [
            (".git/hooks/pre-commit", ".git"),
            (".git", ".git"),
            ("sub/.git/config", ".git"),
            (".GIT/config", ".git"),
            (".git./x", ".git"),
            (".git . ./x", ".git"),
            (".g\u{200b}it/x", ".git"),
            ("\u{feff}.git/x", ".git"),
            ("git~1/x", ".git"),
            (".G\u{130}T", ""),
            (".\u{17f}sh/config", ".ssh"),
            (".vs\u{ad}code/settings.json", ".vscode"),
            (".\u{212a}shrc", ".kshrc"),
            (".gitmodules", ".gitmodules"),
            (".envrc", ".env"),
            (".env.local", ".env"),
            ("a/AGENTS.md", "agents.md"),
            ("Claude.MD", "claude.md"),
            (".github/workflows/ci.yml", ".github"),
            (".cargo/config.toml", ".cargo"),
            ("x/.Cargo/config", ".cargo"),
            (".yarnrc.yml", ".yarnrc"),
            (".flux-12-34", ".flux"),
            (".config/flux/config", ".config"),
            ("home/.local/bin/ls", ".local"),
        ];
        for (path, name) in cases {
            let wanted: &[&str] = if name.is_empty() { &[] } else { &[name] };
            assert_eq!(held(path), wanted, "{path}");
        }
        assert_eq!(held(".github/AGENTS.md"), [".github", "agents.md"]);
    }

    #[test]
    fn what_only_looks_alike_is_not() {
        for path in [
            "git/config",
            "src/git.rs",
            ".gitignore",
            "gitlab-ci.yml",
            "github/x",
            "agents.rs",
            "docs/agents.md.txt",
            "env",
            "my.env.rs",
            ".cargo/registry",
            ".config/app/settings",
            ".local/share/x",
            "cargo/config",
            "src/config.toml",
            "profile",
            "",
        ] {
            assert!(held(path).is_empty(), "{path}");
        }
    }
}
