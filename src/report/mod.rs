//! Floor 3: what people see: the answer on stdout, notes, progress and errors on stderr.

mod answer;
mod file;
mod messages;

pub use answer::{Answer, write_failure};
pub use file::AnswerFile;
pub use messages::Messages;
