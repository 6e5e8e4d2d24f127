//! Which names usually hold secrets. Pure, and about names alone: what is in a file plays no part.

use std::path::Path;

/// Names, in lower case, that are secrets as they stand.
const NAMES: [&str; 5] = [".netrc", ".npmrc", ".git-credentials", ".pgpass", ".pypirc"];

/// Extensions, in lower case, of keys, key stores and lists of variables.
const EXTENSIONS: [&str; 6] = ["pem", "key", "kdbx", "p12", "pfx", "env"];

/// Endings that backups and editors add to a name.
const BACKUPS: [&str; 6] = ["~", ".bak", ".old", ".orig", ".save", ".swp"];

/// The kinds of SSH keys, as in `id_rsa`.
const KEY_KINDS: [&str; 5] = ["rsa", "dsa", "ecdsa", "ed25519", "xmss"];

/// Extensions of source code and prose: `credentials.rs` and `id_map.py` are about secrets or ids, not secrets.
const SOURCES: [&str; 35] = [
    "adoc", "bash", "c", "cc", "clj", "cpp", "cs", "css", "dart", "ex", "exs", "go", "h", "hpp", "html", "java", "js",
    "jsx", "kt", "lua", "md", "mjs", "php", "pl", "py", "rb", "rs", "rst", "scala", "sh", "swift", "ts", "tsx", "vue",
    "zig",
];

/// True if a file of this name usually holds secrets. Only the file's own name counts, not that of a directory
/// above it (`token-secrets/tokenizer.rs` is none), except for the configuration of a git repository.
#[must_use]
pub fn is_secret(path: &Path) -> bool {
    let path = path.to_string_lossy().to_lowercase();
    let (directory, mut name) = path.rsplit_once('/').unwrap_or(("", &path));
    while let Some(shorter) = BACKUPS.iter().find_map(|ending| name.strip_suffix(ending)).filter(|n| !n.is_empty()) {
        name = shorter;
    }
    is_secret_name(name) || (is_git_configuration(name) && directory.split('/').any(|part| part == ".git"))
}

fn is_secret_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_source = || extension.is_some_and(|e| SOURCES.contains(&e));
    NAMES.contains(&name)
        || name.starts_with(".env")
        || extension.is_some_and(|e| EXTENSIONS.contains(&e))
        || ((name.starts_with("credentials") || name.strip_prefix("id_").is_some_and(is_key)) && !is_source())
}

/// `id_map` could be a key that somebody named so, `id_map.json` is none, and `id_rsa.anything` is one.
fn is_key(kind: &str) -> bool {
    !kind.contains('.') || kind.split(['.', '_', '-']).next().is_some_and(|word| KEY_KINDS.contains(&word))
}

fn is_git_configuration(name: &str) -> bool {
    name == "config" || name == "config.worktree"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_usually_holds_secrets_is_one_in_any_case_and_place() {
        let names = [
            ".env",
            ".env.local",
            ".ENV",
            ".envrc",
            "a/b/.env",
            "server.pem",
            "tls.KEY",
            "id_rsa",
            "id_ed25519",
            "id_ecdsa_sk",
            "id_rsa.bak",
            "id_work",
            ".netrc",
            ".npmrc",
            ".git-credentials",
            "credentials",
            "credentials.json",
            ".aws/credentials",
            "Credentials.YML.enc",
            "my.kdbx",
            ".git/config",
            "sub/.git/config",
            ".GIT/Config",
            ".git/modules/x/config",
            ".git/config.worktree",
            ".env~",
            "key.pem.bak",
            ".npmrc.old.swp",
        ];
        for name in names {
            assert!(is_secret(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn code_about_secrets_is_readable() {
        let names = [
            "tokenizer.rs",
            "token-secrets/tokenizer.rs",
            "secrets.py",
            "credentials.rs",
            "credentials/mod.rs",
            "id_map.rs",
            "id_map.json",
            "src/id_rsa.rs",
            "key.rs",
            "pem.go",
            "keys/README.md",
            "config",
            "src/config",
            "environment.yml",
            "env",
            "my.env.example.md",
            ".gitconfig",
            ".git/HEAD",
            ".github/config",
            ".env/bin/pip",
            "monkey",
            "~",
            ".bak",
            "",
        ];
        for name in names {
            assert!(!is_secret(Path::new(name)), "{name}");
        }
    }
}
