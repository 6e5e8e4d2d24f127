//! The attacks of the threat model that programs and their commands can try, and more of the same kinds.

mod files;
mod grants;
mod kernel;
mod network;
mod persistence;
mod processes;
mod programs;

use super::attack::Kind;

/// Programs that can be made to do anything, as a user might grant them.
pub const PROGRAMS: &[&str] = &[
    "run:sh **",
    "run:bash **",
    "run:python3 **",
    "run:perl **",
    "run:awk **",
    "run:sed **",
    "run:find **",
    "run:tar **",
    "run:sort **",
    "run:xargs **",
    "run:make **",
    "run:env **",
    "run:git **",
    "run:curl **",
    "run:getent **",
    "read:.git/config",
];

/// All attacks.
pub fn all() -> Vec<Kind> {
    let parts = [
        grants::kinds(),
        files::kinds(),
        network::kinds(),
        processes::kinds(),
        kernel::kinds(),
        programs::kinds(),
        persistence::kinds(),
    ];
    parts.into_iter().flatten().collect()
}
