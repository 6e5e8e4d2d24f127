//! The model runs programs: what a grant lets start, what a program can reach, and how its end is told.
//!
//! If one of these fails, a run starts what nobody permitted, or tells the model something else than what happened.

mod endings;
mod own_tools;
mod rights;
mod walls;
