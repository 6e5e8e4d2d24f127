//! Floor 0: small things that know nothing of models, tools or transcripts.

pub mod clock;
pub mod env;
pub mod exit;
pub mod failure;
pub mod files;
pub mod place;
pub mod process;
pub mod secret;
pub mod signals;
pub mod stdio;
pub mod stop;
pub mod text;
pub mod tty;
