//! `--session`: a conversation that many runs share through a file.
//!
//! If one of these fails, somebody's conversation is lost, refused by the service, or overwrites a file that was none.

mod continued;
mod crashes;
mod files;
mod unanswered;
