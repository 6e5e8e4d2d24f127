//! The sandbox holds: on old kernels and without namespaces, as root and as nobody, against programs that do all they
//! can. A model that obeys the attacker starts them.
//!
//! If one of these fails, a program that a run starts can read, change or send what nobody permitted.

mod attack;
mod catalogue;
mod cost;
mod driver;
mod ends;
mod kernels;
mod scene;
mod work;
