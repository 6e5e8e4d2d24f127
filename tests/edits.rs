//! The model changes files: what a grant lets through, what nothing lets through, and what is left when the program
//! is killed in the middle.
//!
//! If one of these fails, a run destroys work, writes where it was not told to, or plants what runs later.

mod attacks;
mod disks;
mod grants;
mod killed;
mod requests;
