//! A path as the model writes it, made into one relative to the root, and what to say when it cannot be opened.
//! Pure text: whether a path leads out of the root only the kernel decides, in `files`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::{Refusal, names, policy};
use crate::base::text;

/// What the kernel takes in one path.
const PATH_LIMIT: usize = 4095;

/// What a file name may have on the usual file systems.
const NAME_LIMIT: usize = 255;

/// The path relative to the root. Absolute paths count if they lie textually beneath one of `roots`; in a further place
/// they stay what they are.
pub(super) fn relative(
    path: &OsStr,
    roots: [&Path; 2],
    is_in_place: &dyn Fn(&Path) -> bool,
) -> Result<PathBuf, Refusal> {
    let bytes = path.as_encoded_bytes();
    let path = Path::new(path);
    if bytes.is_empty() {
        return Err(Refusal::new("bad_path", "the path is empty"));
    }
    if bytes.contains(&0) {
        return Err(Refusal::new("bad_path", format!("{} has a NUL in it", shown(path))));
    }
    if bytes.len() > PATH_LIMIT || path.iter().any(|name| name.len() > NAME_LIMIT) {
        return Err(Refusal::new("bad_path", format!("{} is too long for a path", shown(path))));
    }
    if path.is_relative() {
        return Ok(path.to_owned());
    }
    match roots.iter().find_map(|root| path.strip_prefix(root).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => Ok(PathBuf::from(".")),
        Some(rest) => Ok(rest.to_owned()),
        None if is_in_place(path) => Ok(path.to_owned()),
        None => Err(outside(path)),
    }
}

/// The path without `.` and `..`. Right only where no component is a symbolic link.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir => plain.push("/"),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

/// The path for a message: escaped, not without end, and never empty.
pub(super) fn shown(path: &Path) -> Cow<'_, str> {
    const LIMIT: usize = 200;
    match names::escape(path) {
        root if root.is_empty() => Cow::Borrowed("."),
        long if long.len() > LIMIT => Cow::Owned(format!("{}…", text::prefix(&long, LIMIT))),
        short => short,
    }
}

pub(super) fn outside(path: &Path) -> Refusal {
    Refusal::new("outside_root", format!("{} is outside the root; give a path beneath it", shown(path)))
}

pub(super) fn not_a_directory(path: &Path) -> Refusal {
    Refusal::new("not_a_directory", format!("{} is a file; read_files shows what is in it", shown(path)))
}

/// A secret by its name: the text names the grant, with which the user decides.
pub(super) fn secret(path: &Path, real: &Path) -> Refusal {
    let name = shown(real);
    let leads = if plain(path) == real { String::new() } else { format!("{} leads to {name}; ", shown(path)) };
    let why = format!("{leads}{name} is named as secrets usually are");
    policy::lacking(&why, &[format!("read:{}", names::escape(real))])
}
